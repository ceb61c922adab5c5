"""Where the archive keeps what is its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from blinkarchive import permissions
from blinkarchive.errors import ConfigError
from blinkarchive.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where things are in the folder of `[archive] state`."""

    folder: Path

    @property
    def index(self) -> Path:
        return self.folder / "index.sqlite3"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def serving(self) -> Path:
        """The lock of the one scheduler."""
        return self.folder / "serve.lock"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def account(self, name: str) -> Path:
        """The file of an account's tokens, in a folder of its own."""
        return self.folder / "accounts" / name / "tokens.json"

    def make(self) -> None:
        """Make the folder, and make sure that only its owner can change what is in it. Raises `ConfigError`."""
        try:
            Files().make_folders(self.folder, 0o700)
            permissions.check(self.folder, self.folder.stat(), "the state folder", forbidden=permissions.WRITABLE)
            for path, what in ((self.index, "the index"), (self.spool, "the spool")):
                permissions.check_inside(path, what)
        except OSError as error:
            raise ConfigError(f"[archive] state: the folder {self.folder} cannot be made: {error.strerror}") from error
