"""What a config gives away: secrets in files that others may read, and a config that others may change."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blinkarchive.convert import FromEnvironment
from blinkarchive.errors import ConfigError
from blinkarchive.secret import is_keyed_secret

_SECRET_KEYS = frozenset({"notify", "ping"})
"""Keys whose value is a secret, though their names do not say so."""

_MOUNTED = Path("/run/secrets")
"""Where containers get their secrets: readable by all, and nobody else is there."""


def exposures(file: Path | None, tree: Mapping[str, Any]) -> Iterator[str]:
    """What should not stay as it is, each with the command that puts it right; `tree` is the config as written.

    Raises `ConfigError` when anybody on this machine may change the config: it names programs that are run.
    """
    in_file = readable_by_others(file)
    if file is not None:
        yield from _changeable(file)
    for where, key, value in _leaves(tree, ()):
        if isinstance(value, str) and not isinstance(value, FromEnvironment):
            if in_file and (key in _SECRET_KEYS or is_keyed_secret(key, value)):
                yield f"{file} holds the secret {where}, and others may read it: chmod 600 {file}"
        elif isinstance(value, Path):
            kept = value if file is None else file.parent / value
            if readable_by_others(kept) and not kept.is_relative_to(_MOUNTED):
                yield f"{kept} holds the secret {where}, and others may read it: chmod 600 {kept}"


def readable_by_others(file: Path | None) -> bool:
    """Whether another user of this machine may read the file; False when there is none."""
    try:
        return file is not None and bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _changeable(file: Path) -> Iterator[str]:
    try:
        found = file.stat()
    except OSError:  # it was there when it was read
        return
    if not stat.S_ISREG(found.st_mode):
        return
    if found.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f"{file} belongs to another user (uid {found.st_uid}), who could have blinkarchive run any program. If that is you, "
            f"run blinkarchive as that user; if the file is to be yours, check it and run: sudo chown {os.geteuid()} '{file}'"
        )
    if found.st_mode & stat.S_IWOTH:
        raise ConfigError(
            f"everybody on this machine may change {file}, and with it have blinkarchive run any program. "
            f"Check what is in it, and run: chmod 600 '{file}'"
        )
    if found.st_mode & stat.S_IWGRP:
        yield f"the group of {file} may change it, and with it have blinkarchive run any program: chmod g-w {file}"


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, str, object]]:
    """Each text in the config and each file that a secret is in, as the name of its place, its key and itself."""
    if isinstance(value, dict):
        if set(value) == {"file"} and isinstance(value["file"], str):
            yield _named(path), path[-1] if path else "", Path(value["file"]).expanduser()
            return
        for key, inside in value.items():
            yield from _leaves(inside, (*path, str(key)))
    elif isinstance(value, list):
        for inside in value:
            yield from _leaves(inside, path)
    elif path:
        yield _named(path), path[-1], value


def _named(path: tuple[str, ...]) -> str:
    return f"[{'.'.join(path[:-1])}] {path[-1]}" if len(path) > 1 else "".join(path)
