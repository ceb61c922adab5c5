"""The HTTP proxy that alarms and pings use: the one of the config, never one of the environment."""

from __future__ import annotations

from urllib.parse import urlsplit

from blinkarchive.convert import SecretRef
from blinkarchive.errors import ConfigError
from blinkarchive.secret import Secret


def read_proxy(ref: SecretRef | None) -> Secret | None:
    """The address of the proxy, such as `http://user:password@proxy.example.org:3128`; None without one. Blocks.

    Raises `ConfigError`, which does not show the address.
    """
    if ref is None:
        return None
    secret = ref.read()
    if secret is None:
        raise ConfigError(f"[alarm] proxy: {ref} holds nothing")
    if not _is_http(secret.reveal()):
        raise ConfigError(f"[alarm] proxy: {ref} is not an address such as http://proxy.example.org:3128")
    return secret


def _is_http(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
