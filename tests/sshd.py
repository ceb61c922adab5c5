"""A real OpenSSH server on loopback: run as whoever runs the tests, with keys, config and folder of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from blinkarchive_sftp import SftpOptions
from tests.powers import drop_powers

PATIENCE = 15.0


def program() -> str:
    """The server's program. Without it the test is skipped, which in CI is a failure."""
    found = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/opt/homebrew/sbin")
    if found is None:
        pytest.skip("these tests talk to a real OpenSSH server, and there is none: install openssh-server (it need not run)")
    return found


def new_key(file: Path, passphrase: str | None = None, kind: str = "ssh-ed25519", **more: Any) -> asyncssh.SSHKey:
    """A fresh key, written to a file that is its owner's alone."""
    key = asyncssh.generate_private_key(kind, **more)
    file.touch(mode=0o600)
    key.write_private_key(file, passphrase=passphrase)
    return key


@dataclass
class Sshd:
    """A server that can be stopped, with all its connections, and started again at the same port."""

    folder: Path
    port: int
    #: More lines of its config.
    more: str = ""
    #: More options of internal-sftp: `-R` lets nobody write.
    sftp: str = ""
    #: Root without the power to read what it may not, as any other user.
    powerless: bool = False
    host_key: asyncssh.SSHKey = field(init=False)
    process: subprocess.Popen[bytes] | None = None
    #: What runs in place of the login shell; "" for file transfer alone.
    command: str = ""

    @property
    def home(self) -> Path:
        """Where a login begins."""
        return self.folder / "home"

    @property
    def user_key(self) -> Path:
        return self.folder / "user_key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def prepare(self) -> None:
        self.home.mkdir()
        user = new_key(self.user_key)
        (self.folder / "authorized_keys").write_bytes(user.export_public_key())
        self.change_host_key()
        self.trust(self.known_hosts)
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it insists on it, and a container may not have it

    def change_host_key(self, kind: str = "ssh-ed25519", **more: Any) -> None:
        """From the next start on it has another host key."""
        file = self.folder / "host_key"
        file.unlink(missing_ok=True)
        self.host_key = new_key(file, kind=kind, **more)

    def trust(self, file: Path) -> None:
        """Write a file of known hosts that has this server."""
        file.write_text(f"[127.0.0.1]:{self.port} {self.host_key.export_public_key().decode()}")

    def start(self) -> None:
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.folder / 'host_key'}\nPidFile none\nStrictModes no\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}\nPermitRootLogin yes\nPasswordAuthentication no\n"
            f"KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n"
            f"ForceCommand {self.command or f'internal-sftp -d {self.home} {self.sftp}'}\n"
            f"MaxStartups 100\nMaxSessions 100\nLogLevel ERROR\n{self.more}"
        )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                with (self.folder / "log").open("ab") as log:
                    self.process = subprocess.Popen(
                        [program(), "-D", "-e", "-f", config],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        preexec_fn=drop_powers if self.powerless else None,
                    )
            # A connection to a port that nobody listens on yet may be one to itself, which even keeps the server from it.
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"sshd did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End it at once, and every connection with it."""
        if self.process is not None:
            self.cut()
            self.process.kill()
            self.process.wait()
            self.process = None

    def cut(self) -> None:
        """End its connections, and let it wait for others."""
        assert self.process is not None
        for pid in _children(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def options(self, path: Path | str, **changed: object) -> SftpOptions:
        """How a sink comes to a folder of it."""
        given: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "path": str(path),
            "username": getpass.getuser(),
            "key": self.user_key,
            "known_hosts": self.known_hosts,
        }
        return SftpOptions(**{**given, **changed})  # type: ignore[arg-type]


@contextmanager
def serving(folder: Path, more: str = "", *, sftp: str = "", powerless: bool = False) -> Iterator[Sshd]:
    """A server whose files are in a folder of its own."""
    program()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Sshd(folder, port, more, sftp, powerless)
    server.prepare()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _children(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have, as the system lists them."""
    parents: dict[int, list[int]] = {}
    for child, parent in _parents():
        parents.setdefault(parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _parents() -> Iterator[tuple[int, int]]:
    """Every process with its parent; `ps` is asked where there is no /proc, as not every machine has both."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        for line in listed.splitlines():
            child, parent = line.split()
            yield int(child), int(parent)
        return
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])
