"""`--identity`: the keys that open what is encrypted. They are read when they are needed, and shown to nobody."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from blinkarchive.cli.words import is_terminal
from blinkarchive.errors import ConfigError

if TYPE_CHECKING:
    from blinkarchive.encryption import Identities

F = TypeVar("F", bound=Callable[..., object])


def identity_option(help_: str) -> Callable[[F], F]:
    """The option, as `identities`: files."""
    return click.option(
        "--identity",
        "identities",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help=f"{help_}; repeatable.",
    )


def read(files: tuple[Path, ...]) -> Identities | None:
    """The keys in the files; None when no file was named. Asks for the passphrase of one that has one. Raises `ConfigError`."""
    if not files:
        return None
    from blinkarchive.encryption import Identities

    return Identities(files, _ask)


def _ask(file: Path) -> str:
    if not is_terminal(sys.stdin):
        raise ConfigError(f"the identity {file} has a passphrase, and there is no terminal to ask for it")
    answer: str = click.prompt(f"Passphrase of {file}", hide_input=True, err=True)
    return answer
