"""A sink to begin with: the project that `plugins new` writes. It lies in `project`, whole, as the plugin `new-kind`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from blinkarchive import __version__
from blinkarchive.errors import ConfigError
from blinkarchive.hookspecs import PROJECT
from blinkarchive.registry import PluginInfo, is_kind

LONGEST = 40
"""Letters of a name: with more, lines of the project would be too long."""

DOTTED = {"gitignore": ".gitignore"}
"""What would mean something in our own folders if it had its right name there."""

_NEEDED = "blinkarchive>=0.1,<0.2"
"""As it stands in the project's `pyproject.toml`."""


@dataclass(frozen=True, slots=True)
class Named:
    """A kind of sink, and how everything is called that belongs to it."""

    kind: str

    @property
    def distribution(self) -> str:
        """What is installed: `blinkarchive-my-cloud`."""
        return "-".join([PROJECT, *self._words])

    @property
    def package(self) -> str:
        """What is imported: `blinkarchive_my_cloud`."""
        return f"{PROJECT}_{self._identifier}"

    @property
    def _words(self) -> list[str]:
        return [word for word in re.split("[-_]+", self.kind) if word]

    @property
    def _identifier(self) -> str:
        return self.kind.replace("-", "_")

    def instead(self) -> Mapping[str, str]:
        """What stands in the project in the place of what, the longer before what it begins with."""
        return {
            "blinkarchive-new-kind": self.distribution,
            "new-kind": self.kind,
            "new_kind": self._identifier,
            "NEW_KIND": self._identifier.upper(),
            "NewKind": "".join(word.capitalize() for word in self._words),
            _NEEDED: f"blinkarchive{accepted(__version__)}",
        }


def named(kind: str, installed: Iterable[PluginInfo]) -> Named:
    """A new kind of sink. Raises `ConfigError` when it cannot be called so, or when an installed plugin is."""
    if not is_kind(kind):
        raise ConfigError(f"{kind!r} cannot name a kind of sink: use small letters, digits, - and _, and begin with a letter")
    if len(kind) > LONGEST:
        raise ConfigError(f"{kind!r} has {len(kind)} letters; {LONGEST} are enough for a name")
    if keyword.iskeyword(kind):
        raise ConfigError(f"{kind!r} is a word of Python itself: choose another name")
    new = Named(kind)
    for plugin in installed:
        if plugin.name == kind and plugin.distribution == PROJECT:
            raise ConfigError(f"{kind!r} is a sink that ships with blinkarchive, and cannot be replaced: choose another name")
        if plugin.name == kind and re.sub(r"[-_.]+", "-", plugin.distribution).lower() != new.distribution:
            raise ConfigError(
                f"{kind!r} is a plugin of {plugin.distribution}, which is installed: no two can have one name, so choose another"
            )
    return new


def accepted(version: str) -> str:
    """Which versions a plugin accepts that was written with this one: up to the next that may ask for a change of plugins."""
    first, second = (int(number) for number in version.split(".")[:2])
    return f">={first}.{second},<{first + 1}" if first else f">=0.{second},<0.{second + 2}"


def project(new: Named) -> Mapping[str, str]:
    """The texts of the project, by their paths in it."""
    instead = new.instead()
    sample = re.compile("|".join(map(re.escape, instead)))

    def ours(text: str) -> str:
        return sample.sub(lambda found: instead[found[0]], text)

    return {ours(path): ours(text) for path, text in sorted(_sample(files(__name__) / "project"))}


def write(texts: Mapping[str, str], folder: Path) -> None:
    """Write a project into a folder, which is made, or is empty. Raises `ConfigError`; then nothing was written."""
    with _undoing() as written:
        try:
            if folder.is_dir() and any(folder.iterdir()):
                raise ConfigError(f"{folder} is not empty, and was not touched; --dir names another folder")
            for path, text in texts.items():
                _make_folder((folder / path).parent, written)
                with (folder / path).open("x", encoding="utf-8") as file:
                    written.append(folder / path)
                    file.write(text)
        except OSError as error:
            raise ConfigError(f"{error.filename or folder} cannot be written: {error.strerror}") from error


def _make_folder(folder: Path, written: list[Path]) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent, written)
        folder.mkdir()
        written.append(folder)


@contextmanager
def _undoing() -> Iterator[list[Path]]:
    """Remove again what was written, newest first, when it does not end well."""
    written: list[Path] = []
    try:
        yield written
    except BaseException:
        for path in reversed(written):
            with suppress(OSError):
                if path.is_dir():
                    path.rmdir()
                else:
                    path.unlink()
        raise


def _sample(folder: Traversable, above: str = "") -> Iterator[tuple[str, str]]:
    for one in folder.iterdir():
        if one.name == "__pycache__" or one.name.startswith("."):
            continue  # what tools leave
        if one.is_dir():
            yield from _sample(one, f"{above}{one.name}/")
        else:
            yield above + DOTTED.get(one.name, one.name), one.read_text("utf-8")
