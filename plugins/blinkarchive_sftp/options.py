"""What `[sink.NAME]` takes beside `type = "sftp"`."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path

from blinkarchive import ConfigError
from blinkarchive.convert import SecretRef

PORT = 22
MOST_CONNECTIONS = 8


def _check_host(host: object) -> None:
    if not isinstance(host, str) or not host or any(sign in host for sign in " /@,*?![]|\0"):
        raise ValueError("must be the name or the address of a machine, with nothing around it")


def _check_path(path: object) -> None:
    text = str(path)
    if not text or "\0" in text:
        raise ValueError("must name a folder of the server")
    if text.startswith("~"):
        raise ValueError('a server knows no "~": a path that does not begin with "/" begins at the login folder')


def _check_port(port: object) -> None:
    if not isinstance(port, int) or not 0 < port < 65536:
        raise ValueError("must be between 1 and 65535")


def _check_connections(connections: object) -> None:
    if not isinstance(connections, int) or not 1 <= connections <= MOST_CONNECTIONS:
        raise ValueError(f"must be between 1 and {MOST_CONNECTIONS}")


def _check_fingerprint(fingerprint: object) -> None:
    if fingerprint is None:
        return
    kind, _, digest = str(fingerprint).partition(":")
    try:
        right = kind == "SHA256" and len(base64.b64decode(f"{digest}=", validate=True)) == 32
    except binascii.Error:
        right = False
    if not right:
        raise ValueError('must be a fingerprint as ssh-keygen -l shows it: "SHA256:" and 43 letters, digits, + and /')


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpOptions:
    """A server, a folder there, how to log in, and how the server is known."""

    host: str = field(metadata={"help": "the server: its name or its address", "check": _check_host})
    path: str = field(
        metadata={
            "help": "the folder there: absolute, or beginning at the login folder; made when only its last part is missing",
            "check": _check_path,
        }
    )
    username: str = field(metadata={"help": "who logs in there"})
    port: int = field(default=PORT, metadata={"help": "the port of the SSH server", "check": _check_port})
    key: Path | None = field(default=None, metadata={"help": "the file of a private key to log in with"})
    key_passphrase: SecretRef | None = field(default=None, metadata={"help": "the passphrase of that key, if it has one"})
    agent: bool = field(default=False, metadata={"help": "log in with the keys of the SSH agent, too"})
    password: SecretRef | None = field(default=None, metadata={"help": "the password, where there is no key"})
    known_hosts: Path = field(
        default=Path("~/.ssh/known_hosts"), metadata={"help": "the file of host keys that are trusted, as OpenSSH keeps it"}
    )
    host_key: str | None = field(
        default=None,
        metadata={
            "help": "the fingerprint of the one host key that is trusted, in place of known_hosts",
            "check": _check_fingerprint,
        },
    )
    legacy_algorithms: bool = field(
        default=False,
        metadata={"help": "accept SHA-1 and RSA keys of 1024 bits, for an old server that cannot be updated"},
    )
    connections: int = field(
        default=2, metadata={"help": "how many connections there may be at the same time", "check": _check_connections}
    )

    def __post_init__(self) -> None:
        """Raises `ConfigError` when there is no way to log in."""
        if not self.username:
            raise ConfigError('username = "" cannot log in')
        if self.key is None and self.password is None and not self.agent:
            raise ConfigError("nothing to log in with: give a key, a password, or agent = true")
        if self.key is None and self.key_passphrase is not None:
            raise ConfigError("there is a key_passphrase, and no key that it could open")

    @property
    def address(self) -> str:
        """Where it is, for people; no secret is in it."""
        port = "" if self.port == PORT else f":{self.port}"
        return f"sftp://{self.username}@{self.host}{port}"
