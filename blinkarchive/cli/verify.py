"""`verify`: is every copy where the index says, and what it was?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from blinkarchive.cli import identity, report, running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import count, length, printable, record, table
from blinkarchive.model import SinkName
from blinkarchive.pipeline.verifying import Verified

MOST_LOST = 20
"""So many lost copies are named to a person; a program gets them all."""


class Share(click.ParamType[float]):
    """A share of all copies: `5%`."""

    name = "N%"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3})?)%", str(value), re.ASCII)
        if found is None or float(found[1]) > 100:
            self.fail(f'"{value}" is no share; write 5% or 0.5%', param, ctx)
        return float(found[1]) / 100


@click.command(cls=Verb, name="verify")
@click.option("--sample", type=Share(), help="Read so many of the copies back, chosen by chance, to the last byte.")
@click.option("--full", is_flag=True, help="Read every copy back to the last byte.")
@click.option("--sink", "sinks", multiple=True, metavar="NAME", help="Only this sink of the config; repeatable.")
@identity.identity_option("A key; of what is read back, encrypted copies are opened with it and compared with the clip")
@click.pass_obj
def verb(session: Session, sample: float | None, full: bool, sinks: tuple[str, ...], identities: tuple[Path, ...]) -> Exit:
    """Look whether every copy is where it should be, and what it was.

    Every sink is asked for each of its copies: is it there, of the right size, and of the right hash where the sink knows it
    without sending the clip? With --sample or --full copies are read back too, and their hash is computed here. The table has a
    column for each kind of check; the log names it for each copy.

    A copy that is lost, or is not what was stored, counts as lacking from then on: the next run puts the clip there again, from
    another sink or from Blink. Copies that only the catalogues in a sink list, as after a lost index, are counted, and not
    checked. A sink that cannot be reached proves nothing: nothing is concluded from it.

    Exit codes: 0 every copy is sound, 2 usage or config, 3 some could not be looked at, 5 another run holds the archive, 6 some
    are lost, 130 stopped, 1 any other error.
    """
    from blinkarchive import wiring

    if full and sample is not None:
        raise click.UsageError("--full reads all, --sample a part: choose one")
    if identities and not full and sample is None:
        raise click.UsageError("--identity is for what is read back: add --full or --sample N%")
    config, keys = session.load(), identity.read(identities)
    found: dict[SinkName, Verified] = {}
    share = 1.0 if full else sample or 0.0

    async def work() -> None:
        async with report.shown(lambda seconds: _so_far(found, seconds), quiet=session.verbosity < 0):
            await wiring.verify(config, [SinkName(name) for name in sinks], found, share=share, identities=keys)

    running.run(work)
    if session.json:
        record({"sinks": {name: _as_record(one) for name, one in found.items()}})
    else:
        table(
            ("SINK", "COPIES", "SIZE ONLY", "SINK'S HASH", "READ BACK", "OPENED", "LOST", "DAMAGED", "NOT LOOKED AT"),
            [
                (
                    str(name),
                    f"{one.copies:,}",
                    f"{one.sized:,}",
                    f"{one.hashed:,}",
                    f"{one.read:,}",
                    f"{one.decrypted:,}",
                    f"{len(one.lost):,}",
                    f"{len(one.damaged):,}",
                    "all" if one.closed else f"{one.unknown:,}",
                )
                for name, one in found.items()
            ],
        )
        _tell(session, found)
    if any(one.lost or one.damaged for one in found.values()):
        return Exit.DAMAGE
    return Exit.SOME_FAILED if any(one.unknown or one.closed or one.beyond for one in found.values()) else Exit.DONE


def _so_far(found: Mapping[SinkName, Verified], seconds: float) -> list[str]:
    told = [
        f"  {name}: {one.sound:,} sound, {one.read:,} of them read, {len(one.lost) + len(one.damaged):,} lost or damaged"
        for name, one in found.items()
    ]
    return [f"Looking at copies for {length(seconds)}", *told]


def _tell(session: Session, found: Mapping[SinkName, Verified]) -> None:
    for name, one in found.items():
        for what in filter(None, (one.closed, *one.troubles[: report.MOST_TROUBLES])):
            session.say(f"  sink {name}: {printable(what.removeprefix(f'sink {name}: '))}", error=True)
        if one.sized:
            session.say(
                f"  sink {name} reports no hashes: of {count(one.sized, 'copy', 'copies')} only the size was compared. "
                "--full reads them back",
                error=True,
            )
        _name(session, f"sink {name} has lost", one.lost)
        _name(session, f"sink {name} holds other bytes than were stored as", one.damaged)
    if wrong := sum(len(one.lost) + len(one.damaged) for one in found.values()):
        session.say(f"{count(wrong, 'copy', 'copies')} lost or damaged: blinkarchive run puts the clips there again.", error=True)


def _name(session: Session, what: str, keys: Sequence[str]) -> None:
    for key in keys[:MOST_LOST]:
        session.say(f"  {what} {printable(key)}", error=True)
    if (more := len(keys) - MOST_LOST) > 0:
        session.say(f"  … and {more:,} more; --json names them all", error=True)


def _as_record(one: Verified) -> Mapping[str, object]:
    return {
        "copies": one.copies,
        "sound": one.sound,
        "size_only": one.sized,
        "sink_hash": one.hashed,
        "read": one.read,
        "decrypted": one.decrypted,
        "lost": one.lost,
        "damaged": one.damaged,
        "unknown": one.unknown,
        "unknown_to_index": one.beyond,
        "closed": one.closed,
        "troubles": one.troubles,
    }
