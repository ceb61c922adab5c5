"""Which cryptography is accepted: by default only what is sound today, for an old server what the SSH library still knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncssh

_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""First of the library's own choice: processors have instructions for them."""

_MODERN = {
    # No SHA-1, no exchange in a group of 1024 bits that a server may choose, none without forward secrecy.
    "kex_algs": "-*-sha1,diffie-hellman-group-exchange-*,rsa*",
    "mac_algs": "-hmac-sha1*",
    "signature_algs": "-ssh-rsa,ssh-dss,*@ssh.com",
}
_HOST_KEYS = (
    *("ssh-ed25519", "ssh-ed448", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-512", "rsa-sha2-256"),
)
_LEGACY_HOST_KEYS = ("ssh-rsa",)
_CERTIFICATE = "-cert-v01@openssh.com"

SMALLEST_RSA = 2048
SMALLEST_LEGACY_RSA = 1024
"""Bits of an RSA key; OpenSSH itself refuses less than 1024."""


def accepted(*, legacy: bool) -> dict[str, Any]:
    """The options of the SSH library for a connection, but for the kinds of host keys."""
    return {"encryption_algs": _CIPHERS, "compression_algs": ["none"], **({} if legacy else _MODERN)}


def host_keys(known: Sequence[str], *, certificates: bool, legacy: bool) -> list[str]:
    """The kinds of host keys to ask for, those of known keys first: a server with several keys shows one that can be compared.

    Other kinds are asked for as well, so that a server whose key is of another kind than before shows it.
    """
    kinds = [*_HOST_KEYS, *(_LEGACY_HOST_KEYS if legacy else ())]
    kinds.sort(key=lambda kind: not any(_is_of(kind, name) for name in known))
    return [*(f"{kind}{_CERTIFICATE}" for kind in kinds if certificates), *kinds]


def is_weak(key: asyncssh.SSHKey, *, legacy: bool) -> bool:
    """Whether a key is too short to prove who holds it."""
    bits = _rsa_bits(key)
    return bits is not None and bits < (SMALLEST_LEGACY_RSA if legacy else SMALLEST_RSA)


def shown(key: asyncssh.SSHKey) -> str:
    """A host key for people: `ssh-ed25519 SHA256:…`."""
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def weakness(key: asyncssh.SSHKey) -> str:
    """What is wrong with a weak key, and what can be done, for people."""
    return (
        f"RSA of {_rsa_bits(key)} bits, and {SMALLEST_RSA} or more are needed. A new key is safest (ssh-keygen -t ed25519); "
        "for an old server, legacy_algorithms = true accepts it"
    )


def _rsa_bits(key: asyncssh.SSHKey) -> int | None:
    return int(key.pyca_key.key_size) if key.get_algorithm() == "ssh-rsa" else None  # type: ignore[union-attr]


def _is_of(kind: str, name: str) -> bool:
    """Whether a kind of host key is made by keys of this name; RSA keys have several kinds of signatures."""
    return kind == name or (name == "ssh-rsa" and kind.startswith("rsa-"))
