"""`simulate`: a Blink cloud on this machine, for trying things out."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import click

from blinkarchive.cli import running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import data, flush, record


@click.command(cls=Verb, name="simulate")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="P", help="The port; by default any free one.")
@click.option(
    "--world",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A TOML file that describes accounts, cameras, clips and faults.",
)
@click.pass_obj
def verb(session: Session, port: int, world: Path | None) -> Exit:
    """Serve a simulated Blink cloud on this machine until stopped.

    Prints its url, a username, a password and the sign-in code, a line each (one object with --json), and serves on
    127.0.0.1. To use it, set BLINKARCHIVE_API_URL and BLINKARCHIVE_OAUTH_URL to the url.

    Being stopped is how it ends well: the exit code is 0.
    """
    from blinkarchive.simulator import Simulator, World

    async def work() -> None:
        simulator = Simulator(World.load(world) if world is not None else World.default())
        async with simulator.serving(port=port) as served:
            account = served.world.account
            facts = {"url": served.url, "username": account.username, "password": account.password, "code": account.code}
            if session.json:
                record(facts)
            else:
                for name, value in facts.items():
                    data(f"{name}: {value}")
            flush()
            session.say("Serving until stopped (Ctrl-C).")
            await asyncio.Event().wait()

    with suppress(KeyboardInterrupt):
        running.run(work)
    return Exit.DONE
