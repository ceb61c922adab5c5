"""Whether a server is the one that is trusted: its host key, the file of known ones, and how a key comes into that file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncssh

from blinkarchive import ConfigError, Introduction, SinkUnavailable
from blinkarchive.files import Files
from blinkarchive_sftp.options import PORT, SftpOptions
from blinkarchive_sftp.telling import TROUBLE, Teller, TurnedAway

PLAIN = "-*-cert-*"
"""Kinds of host keys that are keys: what an authority has signed means something only to those who trust that authority."""

DEADLINE = 30.0
"""Seconds in which a connection must stand."""

_Keys = tuple[Sequence[asyncssh.SSHKey], Sequence[asyncssh.SSHKey], Sequence[asyncssh.SSHKey]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What makes the server the one that is meant: a pinned fingerprint, or else the lines of a file of known hosts."""

    address: str
    #: The fingerprint that alone is trusted; None when the file is asked.
    pinned: str | None
    #: By host and port, as the SSH library asks: keys that are trusted, keys that sign trusted ones, keys that are revoked.
    lookup: Callable[[str, str, int | None], _Keys]
    #: The kinds of host keys that are asked for; () leaves it to what `lookup` finds.
    kinds: str | tuple[()]
    #: The keys that are trusted of this very host and port, for people.
    known: tuple[str, ...]

    @classmethod
    def of(cls, options: SftpOptions) -> Trust:
        """Read what is trusted. Raises `ConfigError` when the file cannot be read or understood."""
        if options.host_key is not None:
            return cls(
                address=options.address,
                pinned=options.host_key,
                lookup=lambda _host, _addr, _port: ([], [], []),
                kinds=PLAIN,
                known=(f"{options.host_key} (pinned in the config)",),
            )
        hosts = _parsed(_read(_file(options)), _file(options))

        def lookup(host: str, _addr: str, port: int | None) -> _Keys:
            # By name alone: a line for an address says nothing of who may use that address tomorrow.
            trusted, signing, revoked, *_ = hosts.match(host, "", port)
            return trusted, signing, revoked

        port = None if options.port == PORT else options.port
        kinds = () if any(lookup(options.host, "", port)[:2]) else PLAIN
        trusted, *_ = hosts.match(_name(options), "", None)
        known = tuple(shown(key) for key in trusted)
        return cls(address=options.address, pinned=None, lookup=lookup, kinds=kinds, known=known)

    def refused(self, key: asyncssh.SSHKey | None, why: str) -> TurnedAway:
        """What to say when the server showed a key that is not trusted; None when it had none of a kind that is."""
        now = shown(key) if key else f"none that could be compared ({why})"
        accept = "blinkarchive doctor --accept-host-key, with the name of this sink,"
        if self.known:
            mend = "put it into host_key" if self.pinned else f"{accept} puts it in the place of the old one"
            return TurnedAway(
                f"{self.address}: the host key has changed. It is now {now}; trusted is {' or '.join(self.known)}. "
                f"Another machine may answer in its place, so nothing was sent there. If the change was your own: {mend}"
            )
        return TurnedAway(
            f"{self.address}: the host key is not known. It is {now}. Compare it with what the server itself says "
            f"(ssh-keygen -lf on its /etc/ssh/ssh_host_*.pub); if they are the same: {accept} makes it known"
        )


class Doorkeeper(asyncssh.SSHClient):
    """Is asked about host keys that no line of the file makes trusted, and told of the connection's end."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        #: The key that was refused.
        self.refused: asyncssh.SSHKey | None = None
        self.gone = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        if self._trust.pinned is not None and key.get_fingerprint() == self._trust.pinned:
            return True
        self.refused = key
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True


def shown(key: asyncssh.SSHKey) -> str:
    """A host key for people: `ssh-ed25519 SHA256:…`."""
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


async def ask(options: SftpOptions) -> asyncssh.SSHKey | None:
    """The key the server shows now, and proves to hold; nothing is sent to it beside. Raises `SinkUnavailable`."""
    teller = Teller(options.address)
    try:
        async with asyncio.timeout(DEADLINE):
            return await asyncssh.get_server_host_key(options.host, options.port, config=None, server_host_key_algs=PLAIN)
    except TimeoutError as error:
        raise SinkUnavailable(f"{options.address}: no answer within {DEADLINE:g} s") from error
    except (*TROUBLE, ValueError) as error:
        raise SinkUnavailable(f"{options.address} cannot be reached: {teller.words(error)}") from error


async def introduced(options: SftpOptions) -> Introduction:
    """Who the server says it is, and who it was. Raises `SinkUnavailable` and `ConfigError`."""
    trust = Trust.of(options)
    key = await ask(options)
    if key is None:
        raise SinkUnavailable(f"{options.address} shows no host key")
    return Introduction(shows=shown(key), trusted=trust.known, accept=partial(_accept, options, key))


def _accept(options: SftpOptions, key: asyncssh.SSHKey) -> Path:
    """Trust a key from here on, and no other of this host and port."""
    if options.host_key is not None:
        raise ConfigError(f'the config pins the host key: write host_key = "{key.get_fingerprint()}" there')
    file = _file(options)
    kind, data = key.export_public_key("openssh").decode().split()[:2]
    lines = [*_without(_read(file), _name(options), file), f"{_name(options)} {kind} {data}"]
    try:
        Files().make_folders(file.parent, 0o700)
        Files().replace(file.resolve(), "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from error
    return file


def _without(text: str, name: str, file: Path) -> Iterator[str]:
    """The lines of a file of known hosts, but those that trust a key of this host. Raises `ConfigError` where one is too wide."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("@") or not _parsed(line, file).match(name, "", None)[0]:
            yield line
            continue
        names, rest = line.split(None, 1)
        others = [other for other in names.split(",") if other != name]
        if len(others) == len(names.split(",")) and not names.startswith("|"):
            raise ConfigError(f"line {number} of {file} trusts another key for {name} by a pattern: change that line by hand")
        if others and not names.startswith("|"):
            yield f"{','.join(others)} {rest}"


def _name(options: SftpOptions) -> str:
    """What a file of known hosts calls the server."""
    return options.host if options.port == PORT else f"[{options.host}]:{options.port}"


def _file(options: SftpOptions) -> Path:
    return options.known_hosts.expanduser()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"known_hosts: {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"known_hosts: line {line} of {file} is not UTF-8: correct or remove it") from error


def _parsed(text: str, file: Path) -> asyncssh.SSHKnownHosts:
    try:
        return asyncssh.import_known_hosts(text)
    except ValueError as error:
        raise ConfigError(
            f"known_hosts: {_bad_line(text)} of {file} cannot be understood ({error}): correct or remove it"
        ) from error


def _bad_line(text: str) -> str:
    for number, line in enumerate(text.splitlines(), 1):
        try:
            asyncssh.import_known_hosts(line)
        except ValueError:
            return f"line {number}"
    return "a line"
