"""Where the config files are that come with the program."""

from __future__ import annotations

from pathlib import Path

import blinkarchive


def shipped(name: str) -> Path:
    """A file of the folder `config`: inside the installed package, or beside it in a checkout."""
    package = Path(blinkarchive.__file__).parent
    installed = package / "config_files" / name
    return installed if installed.is_file() else package.parent / "config" / name
