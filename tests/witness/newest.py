"""The newest blinkpy that PyPI has, in an environment of its own that is kept between runs."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

KEPT = Path(__file__).parents[2] / ".witness"
"""Outside git; `make clean` removes it."""

_PATIENCE = 150.0
_PIP = ("-m", "pip", "install", "--quiet", "--retries=1", "--timeout=15", "--disable-pip-version-check")


class NotInstalledError(Exception):
    """It could not be had, and why."""


class _FailedError(Exception):
    """A program failed; its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A package that can be imported."""

    python: Path
    version: str
    #: Why there may be a newer one; "" when PyPI has said that there is none.
    doubt: str = ""


def newest(package: str = "blinkpy", folder: Path = KEPT) -> Installed:
    """The newest one, or the one of an earlier run when PyPI cannot be asked. Raises `NotInstalledError` when there is none."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # runs at the same time, and the workers of one, take turns
        python = _environment(folder / "environment")
        kept = _kept(python, package)
        try:
            wanted = _newest_on_pypi(python, package)
            if kept != wanted:
                _run(python, *_PIP, f"{package}=={wanted}")
        except _FailedError as error:
            if not kept:
                raise NotInstalledError(f"{package} could not be installed from PyPI: {error}") from error
            return Installed(python=python, version=kept, doubt=f"PyPI could not be asked: {error}")
        return Installed(python=python, version=wanted)


def _environment(folder: Path) -> Path:
    """The interpreter of an environment; one that was made by another Python, or elsewhere, is made anew."""
    python = folder / "bin" / "python"
    mark = folder / "made-by"
    maker = f"{sys.version}\n{folder}\n"
    if not mark.exists() or mark.read_text() != maker or not python.exists():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _run(sys.executable, "-m", "venv", folder)
        except _FailedError as error:
            raise NotInstalledError(f"no environment could be made: {error}") from error
        mark.write_text(maker)
    return python


def _kept(python: Path, package: str) -> str:
    """The version that is installed; "" for none."""
    try:
        return _run(python, "-c", f"from importlib.metadata import version; print(version({package!r}), end='')")
    except _FailedError:
        return ""


def _newest_on_pypi(python: Path, package: str) -> str:
    """The version that pip would install, whatever is there already: a plain `--upgrade` is content when PyPI is away."""
    report = _run(python, *_PIP, "--dry-run", "--ignore-installed", "--no-deps", "--report=-", package)
    version: str = json.loads(report)["install"][0]["metadata"]["version"]
    return version


def _run(*argv: str | Path) -> str:
    """What a program says. Raises `_FailedError`."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _FailedError(str(error)) from error
    if done.returncode != 0:
        last = [line[-100:] for line in done.stderr.splitlines() if line.strip()][-3:]
        raise _FailedError(" | ".join(last) or f"exit code {done.returncode}")
    return done.stdout
