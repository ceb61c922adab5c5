"""`snap`: take a new picture with a camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from blinkarchive.cli import house, output, running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import printable
from blinkarchive.clock import Clock
from blinkarchive.config import Config

if TYPE_CHECKING:
    from blinkarchive.blink import Camera


@click.command(cls=Verb, name="snap")
@click.argument("camera")
@output.output_option("Write the picture to FILE, in the place of what is there; - is stdout.")
@house.account_option
@click.pass_obj
def verb(session: Session, camera: str, to: str | None, account: str | None) -> Exit:
    """Take a new picture with a camera.

    CAMERA is a name as `blinkarchive cameras` lists it, or an id. Without -o, the picture becomes a new file in the working
    folder, named after the camera and the time; its name is given on stdout. What is written is whole, or nothing is.

    \b
    Examples:
      blinkarchive snap "Front Door"
      blinkarchive snap "Front Door" -o door.jpg

    Exit codes: 0 done, 1 not done, 2 usage or config, or no such camera, 4 sign-in needed.
    """
    output.check(session, to)
    config = session.load()
    found, written = running.run(lambda: _taken(session, config, camera, to, account))
    output.tell(session, found, written, "a new picture")
    return Exit.DONE


async def _taken(
    session: Session, config: Config, camera: str, to: str | None, account: str | None
) -> tuple[house.Found[Camera], output.Written]:
    from blinkarchive import wiring
    from blinkarchive.blink import taking

    found = house.camera(camera, await house.all_of(config, account))
    async with wiring.signed_in(config, found.house.account) as client:
        house.waiting(session, found, f"{printable(found.name)} takes a picture …")
        with house.advised():
            taken = await taking.picture(client, found.thing, clock=Clock())
        return found, await output.write(taken, to, name=found.name, ending=".jpg")
