"""What systemd hears, on a real datagram socket."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blinkarchive.daemon import systemd

ABSTRACT = sys.platform == "linux"


class Systemd:
    """The other end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(5)

    def heard(self) -> str:
        return self._socket.recv(4096).decode()

    def nothing_more(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(1)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:

    address = "/tmp/blinkarchive-test-" + os.urandom(8).hex()
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    there = Systemd(address)
    yield there
    there.close()
    os.unlink(address)


def test_each_word_is_one_datagram(manager: Systemd) -> None:
    systemd.ready()
    systemd.status("archived 3 clips\nin 2 s")
    systemd.watchdog()
    systemd.stopping()
    assert [manager.heard() for _ in range(4)] == ["READY=1", "STATUS=archived 3 clips in 2 s", "WATCHDOG=1", "STOPPING=1"]
    assert manager.nothing_more()


def test_a_reload_is_told_with_its_time(manager: Systemd) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    systemd.reloading()
    first, second = manager.heard().split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_several_variables_go_together(manager: Systemd) -> None:
    systemd.tell(READY=1, STATUS="Grüße")
    assert manager.heard() == "READY=1\nSTATUS=Grüße"


@pytest.mark.parametrize("first", ["@"] if ABSTRACT else [])
def test_a_name_that_is_no_file_is_reached(monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    name = f"blinkarchive-test-{os.urandom(8).hex()}"
    there = Systemd(f"\0{name}")
    monkeypatch.setenv("NOTIFY_SOCKET", first + name)
    systemd.ready()
    assert there.heard() == "READY=1"
    there.close()


@pytest.mark.parametrize(
    "address", [None, "", "/nowhere/at/all", "@nobody-listens-here", "vsock:2:1234", "relative", "/" + "x" * 500]
)
def test_without_anybody_who_listens_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.ready()
    systemd.tell(STATUS="\udcff")


def test_a_manager_that_reads_nothing_does_not_stop_the_service(manager: Systemd) -> None:
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full, pytest.raises(BlockingIOError):
        full.setblocking(False)
        for _ in range(100_000):
            full.sendto(b"x" * 1000, os.environ["NOTIFY_SOCKET"])
    systemd.ready()
    systemd.watchdog()
    assert time.monotonic() - began < 5


def test_a_word_waits_a_moment_for_room(manager: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "PATIENCE", 30.0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full, pytest.raises(BlockingIOError):
        full.setblocking(False)
        for _ in range(100_000):
            full.sendto(b"x", os.environ["NOTIFY_SOCKET"])
    reader = threading.Timer(0.1, manager.heard)
    reader.start()
    systemd.ready()
    reader.join()
    heard = manager.heard()
    while heard == "x":
        heard = manager.heard()
    assert heard == "READY=1"


@pytest.mark.parametrize(
    ("microseconds", "process", "interval"),
    [
        ("30000000", None, 15.0),
        ("30000000", "ours", 15.0),
        ("1000000", "ours", 0.5),
        ("30000000", "1", None),
        (None, "ours", None),
        ("0", None, None),
        ("-1", None, None),
        ("soon", None, None),
        ("30000000", "me", None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_bites(
    monkeypatch: pytest.MonkeyPatch, microseconds: str | None, process: str | None, interval: float | None
) -> None:
    if microseconds is not None:
        monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    if process is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if process == "ours" else process)
    assert systemd.watchdog_interval() == interval
