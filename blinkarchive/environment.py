"""The environment of the programs that are started: an allow-list, because every other variable may hold a secret."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

_NEEDED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP"}
    | {"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"}
    | {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"}
)
"""Where files, libraries and certificates are, and how text and time are written."""


def child_environment(more: Collection[str] = (), environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that a program needs to run, and those named in `more`. No proxy is among them unless it is named."""
    return {name: value for name, value in environ.items() if name in _NEEDED or name.startswith("LC_") or name in more}
