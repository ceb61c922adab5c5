"""`record`: let a camera record a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from blinkarchive.cli import house, output, running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import printable
from blinkarchive.cli.words import record as as_json
from blinkarchive.clock import Clock
from blinkarchive.config import Config

if TYPE_CHECKING:
    from blinkarchive.blink import Camera, SyncModule


@click.command(cls=Verb, name="record")
@click.argument("camera")
@output.output_option("Wait for the clip, and write it to FILE, in the place of what is there; - is stdout.")
@house.account_option
@click.pass_obj
def verb(session: Session, camera: str, to: str | None, account: str | None) -> Exit:
    """Let a camera record a clip.

    CAMERA is a name as `blinkarchive cameras` lists it, or an id. Without -o, the clip stays where Blink keeps it, and the next
    `blinkarchive run` archives it. With -o, it is waited for, two minutes at most, and fetched from the cloud or from the stick.
    What is written is a whole clip, or nothing is.

    \b
    Examples:
      blinkarchive record "Front Door"
      blinkarchive record "Front Door" -o door.mp4

    Exit codes: 0 done, 1 not done, 2 usage or config, or no such camera, 4 sign-in needed.
    """
    if to is not None:
        output.check(session, to)
    config = session.load()
    found, written = running.run(lambda: _recorded(session, config, camera, to, account))
    if written is not None:
        output.tell(session, found, written, "a new clip")
        return Exit.DONE
    if session.json:
        as_json(output.as_record(found, None))
    session.say(f"{printable(found.name)} has recorded a clip.\nNext: blinkarchive run")
    return Exit.DONE


async def _recorded(
    session: Session, config: Config, camera: str, to: str | None, account: str | None
) -> tuple[house.Found[Camera], output.Written | None]:
    from blinkarchive import wiring
    from blinkarchive.blink import taking

    found = house.camera(camera, await house.all_of(config, account))
    async with wiring.signed_in(config, found.house.account) as client:
        house.waiting(session, found, f"{printable(found.name)} records …")
        with house.advised():
            if to is None:
                await client.control.record(found.thing)
                return found, None
            taken = await taking.clip(client, found.thing, _modules(found), clock=Clock())
        return found, await output.write(taken, to, name=found.name, ending=".mp4")


def _modules(found: house.Found[Camera]) -> list[SyncModule]:
    """The sync modules of a camera whose sticks can be read."""
    modules = found.house.home.sync_modules
    return [one for one in modules if one.network_id == found.thing.network_id and one.readable and not one.offline]
