"""The program that hands one message to Apprise: a process of its own, which knows nothing of blinkarchive.

Apprise takes a second and 46 MB to load nearly two hundred services; writes addresses, with what is secret in them, to the
log; and leaves threads behind that cannot be stopped and hold up the end of the process they are in. Here all of that ends
with this process.

stdin: one JSON object with `title`, `body`, `kind`, `addresses`, `deadline`, `proxy`.
stdout: for each address one line `[index, outcome]`, as soon as it is known.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

DELIVERED, UNKNOWN, UNDELIVERED = "delivered", "unknown", "undelivered"


def main() -> None:
    """Hand over the message that stdin tells of. Ends the process."""
    order = json.load(sys.stdin)
    signal.alarm(int(order["deadline"]) + 1)  # whoever started us may be gone
    _use_proxy(order["proxy"])
    answers = os.dup(1)
    os.dup2(2, 1)  # what a service prints is no answer of ours

    def hand_over(index: int, address: str) -> None:
        line = json.dumps([index, outcome(address, order["title"], order["body"], order["kind"])])
        os.write(answers, f"{line}\n".encode())

    # A thread for each: one that hangs holds up no other.
    threads = [threading.Thread(target=hand_over, args=one, daemon=True) for one in enumerate(order["addresses"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)


def _use_proxy(address: str) -> None:
    """Have every service use this proxy, or none; and no password of `~/.netrc`."""
    os.environ["NETRC"] = os.devnull
    if address:
        os.environ |= {"http_proxy": address, "https_proxy": address, "no_proxy": "localhost,127.0.0.1,::1"}


def outcome(address: str, title: str, body: str, kind: str) -> str:
    """Send a message to one address, and say what came of it."""
    try:
        import apprise

        services: Any = apprise.Apprise(asset=apprise.AppriseAsset(app_id="blinkarchive", app_desc="blinkarchive"))
        known = services.add(address)
        if not len(services):
            return UNKNOWN
        # Older versions give True, False or None; newer ones an object that is true when all of it was delivered.
        delivered = bool(services.notify(title=title, body=body, notify_type=kind, body_format="text"))
    except Exception:  # noqa: BLE001  # a service may raise anything, and its words may hold the address
        return UNDELIVERED
    if not delivered:
        return UNDELIVERED
    return DELIVERED if known else UNKNOWN


if __name__ == "__main__":
    main()
