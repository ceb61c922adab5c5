"""`arm`: arm a network, or let a camera look for motion."""

from __future__ import annotations

import click

from blinkarchive.cli import arming, house
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb


@click.command(cls=Verb, name="arm")
@click.argument("name", metavar="NETWORK|CAMERA")
@house.account_option
@click.pass_obj
def verb(session: Session, name: str, account: str | None) -> Exit:
    """Arm a network, or let a camera look for motion.

    A name is looked for among the networks first, then among the cameras, of all accounts; both also have an id. Names that
    are not unique are refused with those to choose from. It has been done when this returns.

    \b
    Examples:
      blinkarchive arm Home
      blinkarchive arm "Front Door"

    Exit codes: 0 done, 1 not done, 2 usage or config, or no such name, 4 sign-in needed.
    """
    return arming.switch(session, name, account, arm=True)
