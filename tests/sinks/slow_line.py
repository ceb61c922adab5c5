"""A slow uplink to a server on loopback: all connections together send so many bytes a second, and no more waits on the way."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 2048
_BUFFER = 8192
"""What the line itself holds of a connection, in bytes: what it does not take stays with the sender, as at a home's router."""


class SlowLine:
    """Forwards whatever comes to its port: upwards slowly, down at once."""

    def __init__(self, port: int, rate: float) -> None:
        """`rate` is in bytes a second."""
        self._to = ("127.0.0.1", port)
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0
        #: Bytes that went up so far.
        self.sent = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)  # what it accepts has it from the listener
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Cut all connections."""
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._to)
                self._sockets += [here, there]
                threading.Thread(target=self._forward, args=(here, there, True), daemon=True).start()
                threading.Thread(target=self._forward, args=(there, here, False), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_PIECE if up else 65536):
                if up:
                    time.sleep(self._turn(len(data)))
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _turn(self, size: int) -> float:
        """When the line is free for these bytes, in seconds from now."""
        with self._lock:
            self.sent += size
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + size / self._rate
            return self._free_at - now


@contextmanager
def slow_line(port: int, megabits: float) -> Iterator[SlowLine]:
    """A line of so many Mbit/s to a port of this machine."""
    line = SlowLine(port, megabits * 125_000)
    try:
        yield line
    finally:
        line.close()
