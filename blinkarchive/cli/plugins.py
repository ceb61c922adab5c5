"""`plugins`: the kinds of sinks there are, and what failed to load."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import data, record, table

if TYPE_CHECKING:
    from blinkarchive.registry import PluginInfo


@click.command(cls=Verb, name="plugins")
@click.pass_obj
def verb(session: Session) -> Exit:
    """List the kinds of sinks there are, with their options, and what failed to load.

    This loads every plugin that is installed; a run loads only those that the config names. It needs no config.
    """
    from blinkarchive.registry import Registry

    found = Registry.load_all().plugins()
    if session.json:
        record({"plugins": [asdict(plugin) for plugin in found]})
    else:
        _tell(found)
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
