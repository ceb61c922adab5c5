"""What systemd is told of the service: ready, stopping, alive; a few lines of its protocol.

The packages of PyPI that do this are no longer looked after, or need systemd's C library to be built.
Outside systemd nothing is told, and nothing is ever raised.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress

PATIENCE = 0.2
"""How long a word may wait for room, in seconds: ten wait for systemd at most, and the service must go on when it takes none."""


def ready() -> None:
    """The service has started; or has taken in its new config."""
    tell(READY=1)


def stopping() -> None:
    """The service was told to stop, and is doing so."""
    tell(STOPPING=1)


def reloading() -> None:
    """The service takes in its config anew; `ready` follows."""
    tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)


def status(text: str) -> None:
    """What the service does now, for `systemctl status`: one line."""
    tell(STATUS=" ".join(text.split()))


def watchdog() -> None:
    """The service is alive."""
    tell(WATCHDOG=1)


def watchdog_interval() -> float | None:
    """How often `watchdog` is to be called, in seconds: twice as often as systemd waits for it. None when it does not wait."""
    try:
        microseconds = int(os.environ["WATCHDOG_USEC"])
        process = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    return microseconds / 2e6 if microseconds > 0 and process == os.getpid() else None


def tell(**variables: object) -> None:
    """Send variables to the socket that `$NOTIFY_SOCKET` names; a first "@" means a name that is no file."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    lines = "\n".join(f"{name}={value}" for name, value in variables.items())
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.settimeout(PATIENCE)
        out.sendto(lines.encode(errors="replace"), "\0" + address[1:] if address[0] == "@" else address)
