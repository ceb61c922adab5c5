"""What `arm` and `disarm` do: a network, or a camera alone, watches or watches no more; and Blink shows it so."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from blinkarchive.blink.taking import SHOWN
from blinkarchive.blink.wire import Camera
from blinkarchive.cli import house, running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session
from blinkarchive.cli.words import printable, record
from blinkarchive.clock import Clock
from blinkarchive.config import Config
from blinkarchive.errors import CommandUnfinished
from blinkarchive.retry import retry

if TYPE_CHECKING:
    from blinkarchive.blink import Client, Network

    Target = house.Found[Network] | house.Found[Camera]


def switch(session: Session, name: str, account: str | None, *, arm: bool) -> Exit:
    """Arm or disarm a network or a camera, and say what it was."""
    config = session.load()
    found = running.run(lambda: _switched(session, config, name, account, arm=arm))
    if session.json:
        kind = "camera" if isinstance(found.thing, Camera) else "network"
        record({"account": found.house.account, "kind": kind, "name": found.name, "id": found.thing.id, "armed": arm})
    called = _called(found)
    session.say(f"{called[0].upper()}{called[1:]} is {_done(arm=arm)}.")
    if arm and (network := _disarmed_network(found)):
        session.say(f"It records nothing yet: its network is disarmed. Next: blinkarchive arm {shlex.quote(printable(network))}")
    return Exit.DONE


async def _switched(session: Session, config: Config, name: str, account: str | None, *, arm: bool) -> Target:
    from blinkarchive import wiring

    found = house.network_or_camera(name, await house.all_of(config, account))
    async with wiring.signed_in(config, found.house.account) as client:
        house.waiting(session, found, f"{'Arming' if arm else 'Disarming'} {_called(found)} …")
        with house.advised():
            await _ask(client, found, arm=arm)
            await retry(lambda: _see(client, found, arm=arm), clock=Clock(), pauses=SHOWN)
    return found


async def _ask(client: Client, found: Target, *, arm: bool) -> None:
    if isinstance(found.thing, Camera):
        await client.control.watch(found.thing, on=arm)
    else:
        await client.control.arm(found.thing.id, arm=arm)


async def _see(client: Client, found: Target, *, arm: bool) -> None:
    """Raise `CommandUnfinished` unless Blink shows it as it should be now."""
    home = await client.homescreen()
    if isinstance(found.thing, Camera):
        shown = [camera.enabled for camera in home.cameras if camera.id == found.thing.id]
    else:
        shown = [network.armed for network in home.networks if network.id == found.thing.id]
    if shown != [arm]:
        raise CommandUnfinished(f"{_called(found)}: reported {_done(arm=arm)}, and Blink does not show it so")


def _called(found: Target) -> str:
    return f"{'camera' if isinstance(found.thing, Camera) else 'network'} {printable(found.name)}"


def _done(*, arm: bool) -> str:
    return "armed" if arm else "disarmed"


def _disarmed_network(found: Target) -> str:
    """What a camera is armed for in vain: the name of its network, when that is disarmed; else ""."""
    if not isinstance(found.thing, Camera):
        return ""
    name, network = found.house.network(found.thing.network_id)
    return name if network is not None and not network.armed else ""
