"""`sinks`: the archive's sinks, how a place that is not empty becomes one, and how one stops to count."""

from __future__ import annotations

from collections.abc import Mapping

import click

from blinkarchive.cli import running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import ago, count, data, iso, record, table
from blinkarchive.clock import Clock
from blinkarchive.config import Config, EncryptConfig
from blinkarchive.errors import ConfigError, NothingArchived
from blinkarchive.index.facts import KnownSink
from blinkarchive.model import SinkName


@click.command(cls=Verb, name="sinks")
@click.argument("action", type=click.Choice(["adopt", "retire"]), required=False)
@click.argument("name", required=False)
@click.option("--force", is_flag=True, help="Retire it even though clips are held by no other sink.")
@click.pass_obj
def verb(session: Session, action: str | None, name: str | None, force: bool) -> Exit:
    """List the archive's sinks; `sinks adopt NAME` begins one where files are, `sinks retire NAME` stops counting one.

    A place that is new to the archive and holds other files is not used without a confirmation: it may be this archive's own,
    seen with a wrong prefix or password. To adopt it is to store clips next to these files, which are not touched.

    A sink that was taken out of the config still belongs to the archive: what it should hold counts as missing, and nothing is
    deleted at any source, until it is put back or retired. To retire a sink is to forget what it holds; nothing in it is touched.
    One that is in the config cannot be retired: take it out first. One that alone holds clips is retired with --force only.

    A sink is known by the marker in it, not by its name: one that has another name in the config keeps what it holds.
    """
    config = session.load()
    if action is None:
        return _list(session, config)
    if name is None:
        raise click.UsageError(f"{action} needs the name of a sink")
    if action == "adopt":
        return _adopt(session, config, SinkName(name))
    return _retire(session, config, SinkName(name), force=force)


def _list(session: Session, config: Config) -> Exit:
    from blinkarchive import wiring

    async def work() -> list[KnownSink]:
        async with wiring.reading(config) as index:
            return await index.sinks()

    try:
        known = {one.sink: one for one in running.run(work)}
    except NothingArchived:
        known = {}
    names = [*config.sinks, *(name for name in known if name not in config.sinks)]
    if session.json:
        record({"sinks": [_as_record(config, name, known.get(name)) for name in names]})
        return Exit.DONE
    now = Clock().now()
    table(
        ("SINK", "KIND", "COUNTS", "ENCRYPTED", "STORED", "ONLY THERE", "SINCE"),
        [
            (
                name,
                config.sinks[name].type if name in config.sinks else "not in the config",
                "required" if _required(config, name) else "optional",
                "yes" if _encrypted(config, name) else "no",
                f"{known[name].stored:,}" if name in known else "0",
                f"{known[name].only_there:,}" if name in known else "0",
                ago(known[name].first_seen, now) if name in known else "-",
            )
            for name in names
        ],
    )
    return Exit.DONE


def _required(config: Config, name: SinkName) -> bool:
    """Whether it counts as one that must hold every clip. Of one that the config has no more, nobody has said otherwise."""
    return name not in config.sinks or config.sinks[name].required


def _encrypted(config: Config, name: SinkName) -> bool:
    return name in config.sinks and isinstance(config.sinks[name].encrypt, EncryptConfig)


def _as_record(config: Config, name: SinkName, known: KnownSink | None) -> Mapping[str, object]:
    return {
        "sink": name,
        "type": config.sinks[name].type if name in config.sinks else None,
        "in_config": name in config.sinks,
        "required": _required(config, name),
        "encrypted": _encrypted(config, name),
        "id": known.id if known else None,
        "stored": known.stored if known else 0,
        "only_there": known.only_there if known else 0,
        "first_seen": iso(known.first_seen) if known else None,
    }


def _adopt(session: Session, config: Config, name: SinkName) -> Exit:
    from blinkarchive import wiring

    running.run(lambda: wiring.adopt(config, name))
    if session.json:
        record({"adopted": name})
    else:
        data(f"{name} is a sink of this archive now: the next run stores clips there, next to what it holds already.")
    return Exit.DONE


def _retire(session: Session, config: Config, name: SinkName, *, force: bool) -> Exit:
    from blinkarchive import wiring

    if name in config.sinks:
        raise ConfigError(f"the sink {name} is in the config: take [sink.{name}] out of it first")
    retired = running.run(lambda: wiring.retire(config, name, force=force))
    if session.json:
        record({"retired": name, "stored": retired.stored, "only_there": retired.only_there})
    else:
        data(f"{name} is retired: {count(retired.stored, 'clip')} in it no longer count, and are left where they are.")
    return Exit.DONE
