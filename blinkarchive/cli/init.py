"""`init`: write a config after a few questions, each of which is also a flag."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.shipped import shipped
from blinkarchive.cli.words import is_terminal, record
from blinkarchive.config import default_file, load
from blinkarchive.errors import ConfigError
from blinkarchive.files import Files


@click.command(cls=Verb, name="init")
@click.option("--username", metavar="ADDRESS", help="The address you sign in to Blink with.")
@click.option("--path", "--sink-path", "path", metavar="FOLDER", help="The folder that clips go to.")
@click.option("--state", metavar="FOLDER", help="The folder of index and sign-ins, if not the default one.")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it, if not the default place.")
@click.option("--force", is_flag=True, help="Replace a config that is there.")
@click.pass_obj
def verb(session: Session, username: str | None, path: str | None, state: str | None, file: Path | None, force: bool) -> Exit:
    """Write a config after a few questions.

    Every question is also a flag: with --username and --path nothing is asked. The file has every key with a sentence, is
    readable by you alone, and never takes the place of another without --force.
    """
    by_variable = os.environ.get("BLINKARCHIVE_CONFIG")
    file = (file or session.config or (Path(by_variable) if by_variable else default_file())).expanduser().absolute()
    if file.exists() and not force:
        raise ConfigError(f"{file} is there already, and was not touched; --force replaces it, --file writes another")
    username = username or _asked("--username", "The address you sign in to Blink with")
    path = path or _asked("--path", "The folder that clips go to (a mounted disk or share)")
    folder = Path(path).expanduser().absolute()
    _write(file, _filled(shipped("blinkarchive.toml").read_text("utf-8"), username, folder, state))
    load(file)
    if session.json:
        record({"file": str(file)})
    session.say(f"Wrote {file}.")
    if not folder.parent.is_dir():
        session.say(f"There is no folder {folder.parent} yet; make it, or mount it, before the first run.")
    session.say(f"Next: blinkarchive {'' if file == default_file() else f'--config {file} '}login")
    return Exit.DONE


def _asked(flag: str, question: str) -> str:
    if not is_terminal(sys.stdin):
        raise click.UsageError(f"no terminal to ask at: {flag} is needed")
    return str(click.prompt(question, err=True)).strip()


def _filled(template: str, username: str, folder: Path, state: str | None) -> str:
    """The shipped config with the owner's answers in it."""
    answers = {"username": username, "path": str(folder)}
    if state:
        answers["state"] = str(Path(state).expanduser().absolute())
    for key, answer in answers.items():
        head, found, tail = template.partition(f"\n{key} = ")
        assert found, key
        template = head + found + json.dumps(answer, ensure_ascii=False) + tail[tail.index("\n") :]
    return template


def _write(file: Path, text: str) -> None:
    """Write the config, readable by its owner alone. Raises `ConfigError` when the place does not allow it."""
    files = Files()
    try:
        files.make_folders(file.parent, 0o700)
        files.replace(file, text.encode(), 0o600)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from error
