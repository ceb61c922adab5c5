"""Whether a server is the one that is trusted: its host key, the file of known ones, and how a key comes into that file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncssh

from blinkarchive import ConfigError, Introduction, SinkUnavailable
from blinkarchive.files import Files
from blinkarchive_sftp.algorithms import accepted, host_keys, is_weak, shown, weakness
from blinkarchive_sftp.options import PORT, SftpOptions
from blinkarchive_sftp.telling import TROUBLE, Teller, TurnedAway

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
    #: The kinds of host keys that are asked for, the best first; without and with those that an authority signed.
    plain_kinds: Sequence[str]
    kinds: Sequence[str]
    #: The keys that are trusted of this very host and port, for people.
    known: tuple[str, ...]
    #: Keys of this host that must not be trusted any more.
    revoked: frozenset[asyncssh.SSHKey] = frozenset()
    #: Where that is written.
    file: Path | None = None
    legacy: bool = False

    @classmethod
    def of(cls, options: SftpOptions) -> Trust:
        """Read what is trusted. Raises `ConfigError` when the file cannot be read or understood."""
        legacy = options.legacy_algorithms
        if options.host_key is not None:
            # A fingerprint tells no kind. Earlier versions asked for RSA first, so it may be the one of an RSA key.
            kinds = host_keys(["ssh-rsa"], certificates=False, legacy=legacy)
            return cls(
                address=options.address,
                pinned=options.host_key,
                lookup=lambda _host, _addr, _port: ([], [], []),
                plain_kinds=kinds,
                kinds=kinds,
                known=(f"{options.host_key} (pinned in the config)",),
                legacy=legacy,
            )
        file = _file(options)
        hosts = _parsed(_read(file), file)

        def lookup(host: str, _addr: str, port: int | None) -> _Keys:
            # By name alone: a line for an address says nothing of who may use that address tomorrow.
            trusted, signing, revoked, *_ = hosts.match(host, "", port)
            # The library asks us about any other key, so that we can say what is wrong with it.
            sound = [key for key in trusted if key not in revoked and not is_weak(key, legacy=legacy)]
            return sound, [key for key in signing if not is_weak(key, legacy=legacy)], revoked if signing else []

        port = None if options.port == PORT else options.port
        trusted, signing, revoked, *_ = hosts.match(options.host, "", port)
        names = [key.get_algorithm() for key in trusted]
        return cls(
            address=options.address,
            pinned=None,
            lookup=lookup,
            plain_kinds=host_keys(names, certificates=False, legacy=legacy),
            kinds=host_keys(names, certificates=bool(signing), legacy=legacy),
            known=tuple(shown(key) for key in hosts.match(_name(options), "", None)[0] if key not in revoked),
            revoked=frozenset(revoked),
            file=file,
            legacy=legacy,
        )

    def trusts(self, key: asyncssh.SSHKey) -> bool:
        """Whether the server may have this key, which no sound line of the file trusts."""
        return self.pinned is not None and self._is_known(key) and not is_weak(key, legacy=self.legacy)

    def _is_known(self, key: asyncssh.SSHKey) -> bool:
        return shown(key) in self.known if self.pinned is None else key.get_fingerprint() == self.pinned

    def refused(self, key: asyncssh.SSHKey | None, why: str) -> TurnedAway:
        """What to say when the server showed a key that is not trusted; None when it cannot be told which."""
        now = shown(key) if key else f"none that could be compared ({why})"
        if key in self.revoked or "revoked" in why:
            return TurnedAway(
                f"{self.address}: the host key is revoked in {self.file}. It is {now}. Nothing was sent there. "
                "A revoked key may be in the hands of a stranger: give the server a new one"
            )
        if key and is_weak(key, legacy=self.legacy) and (not self.known or self._is_known(key)):
            return TurnedAway(f"{self.address}: the host key is too weak ({now}): {weakness(key)}. Nothing was sent there")
        accept = "blinkarchive doctor --accept-host-key, with the name of this sink,"
        if self.known:
            fix = "put it into host_key" if self.pinned else f"{accept} puts it in the place of the old one"
            return TurnedAway(
                f"{self.address}: the host key has changed. It is now {now}; trusted is {' or '.join(self.known)}. "
                f"Another machine may answer in its place, so nothing was sent there. If the change was your own: {fix}"
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
        if self._trust.trusts(key):
            return True
        self.refused = key
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True


async def ask(options: SftpOptions, kinds: Sequence[str], *, legacy: bool) -> asyncssh.SSHKey | None:
    """The key the server shows now, and proves to hold; nothing is sent to it beside. Raises `SinkUnavailable`."""
    teller = Teller(options.address)
    algorithms = accepted(legacy=legacy)
    try:
        async with asyncio.timeout(DEADLINE):
            return await asyncssh.get_server_host_key(
                options.host,
                options.port,
                config=None,
                server_host_key_algs=kinds,
                kex_algs=algorithms.pop("kex_algs", ()),
                options=asyncssh.SSHClientConnectionOptions(config=None, **algorithms),
            )
    except TimeoutError as error:
        raise SinkUnavailable(f"{options.address}: no answer within {DEADLINE:g} s") from error
    except (*TROUBLE, ValueError) as error:
        raise SinkUnavailable(f"{options.address} cannot be reached: {teller.words(error)}") from error


async def only_legacy(options: SftpOptions) -> str:
    """Words for a server that answers only where old algorithms are accepted; "" when that is not so.

    OpenSSH hangs up without a word when it finds no algorithm that both sides accept.
    """
    if options.legacy_algorithms:
        return ""
    with suppress(SinkUnavailable):
        await ask(options, host_keys([], certificates=False, legacy=False), legacy=False)
        return ""
    try:
        await ask(options, host_keys([], certificates=False, legacy=True), legacy=True)
    except SinkUnavailable:
        return ""
    return (
        f"{options.address}: the server knows only old algorithms (SHA-1), which are not accepted. Update the server; "
        "if that cannot be, legacy_algorithms = true accepts them"
    )


async def introduced(options: SftpOptions) -> Introduction:
    """Who the server says it is, and who it was.

    Raises `ConfigError`, and `SinkUnavailable`, also for a key that must not be trusted.
    """
    trust = Trust.of(options)
    try:
        key = await ask(options, trust.plain_kinds, legacy=trust.legacy)
    except SinkUnavailable as error:
        if words := await only_legacy(options):
            raise TurnedAway(words) from error
        raise
    if key is None:
        raise SinkUnavailable(f"{options.address} shows no host key")
    if key in trust.revoked:
        raise trust.refused(key, "")
    if is_weak(key, legacy=trust.legacy):
        raise TurnedAway(f"{options.address}: the host key is too weak ({shown(key)}): {weakness(key)}")
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
        Files().replace(file.resolve(), "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
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
    """The text of the file. Bytes that are not UTF-8 stay what they are when it is written again."""
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"known_hosts: {file} cannot be read: {error.strerror}") from error


def _parsed(text: str, file: Path) -> asyncssh.SSHKnownHosts:
    """The lines of the file. Raises `ConfigError` for one that cannot be understood."""
    lines = [_entry(line) for line in text.splitlines()]
    for number, line in enumerate(lines, 1):
        try:
            line.encode()  # text in another encoding is fine in a comment alone
            asyncssh.import_known_hosts(line)
            if line.startswith("@revoked"):  # the library skips some lines without an error: that must not be one of these
                asyncssh.import_public_key(line.split(None, 2)[2])
        except (ValueError, IndexError) as error:
            raise ConfigError(f"known_hosts: line {number} of {file} cannot be understood: correct or remove it") from error
    return asyncssh.import_known_hosts("\n".join(lines))


def _entry(line: str) -> str:
    """A line without its comment, which may be in any encoding."""
    fields = line.split()
    return "" if not fields or fields[0].startswith("#") else " ".join(fields[: 4 if fields[0].startswith("@") else 3])
