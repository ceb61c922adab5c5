"""`plugins`: the kinds of sinks there are, what failed to load, and a project for a new one."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import data, record, table

if TYPE_CHECKING:
    from blinkarchive.registry import PluginInfo


@click.command(cls=Verb, name="plugins")
@click.argument("action", type=click.Choice(["new"]), required=False)
@click.argument("name", required=False)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where `new` writes the project; by default ./blinkarchive-NAME.",
)
@click.pass_obj
def verb(session: Session, action: str | None, name: str | None, folder: Path | None) -> Exit:
    """List the kinds of sinks there are; `plugins new NAME` writes a project for a new one.

    The list has their options, and what failed to load. It loads every plugin that is installed; a run loads only those that the
    config names. It needs no config.

    The project is a small sink that works, with the contract as its tests: replace its parts one after the other. NAME is what an
    owner will write as `type`: small letters, digits, - and _. Nothing that is there already is touched.
    """
    if action is None:
        if folder is not None:
            raise click.UsageError("--dir belongs to `plugins new NAME`")
        return _list(session)
    if name is None:
        raise click.UsageError("new needs a name: what an owner will write as `type`")
    return _new(session, name, folder)


def _list(session: Session) -> Exit:
    from blinkarchive.registry import Registry

    found = Registry.load_all().plugins()
    if session.json:
        record({"plugins": [asdict(plugin) for plugin in found]})
    else:
        _tell(found)
    return Exit.DONE


def _new(session: Session, name: str, folder: Path | None) -> Exit:
    from blinkarchive import starter
    from blinkarchive.registry import Registry

    new = starter.named(name, Registry().plugins())
    folder = Path(new.distribution) if folder is None else folder.expanduser()
    texts = starter.project(new)
    starter.write(texts, folder)
    commands = [
        f"cd {shlex.quote(str(folder))}",
        "python -m pip install -e . pytest pytest-asyncio",
        "python -m pytest",
    ]
    if session.json:
        record({"folder": str(folder.absolute()), "files": list(texts), "next": commands})
        return Exit.DONE
    for path in texts:
        data(str(folder / path))
    session.say("Next, with the Python that has blinkarchive:")
    for command in commands:
        session.say(f"  {command}")
    return Exit.DONE


def _tell(found: tuple[PluginInfo, ...]) -> None:
    table(
        ("NAME", "PACKAGE", "VERSION", "STATE", "WHAT"),
        [
            (
                plugin.name,
                plugin.distribution,
                plugin.version,
                "fail" if plugin.failure else "ok",
                plugin.failure or _what(plugin),
            )
            for plugin in found
        ],
    )
    for plugin in found:
        if plugin.kind:
            data(f'\nOptions of [sink.NAME] with type = "{plugin.kind}":')
            table(
                ("KEY", "TYPE", "DEFAULT", "WHAT"),
                [
                    (option.name, option.type, "must be given" if option.required else option.default or "-", option.help)
                    for option in plugin.options
                ],
            )


def _what(plugin: PluginInfo) -> str:
    return plugin.help or f"listens: {', '.join(plugin.hooks)}"
