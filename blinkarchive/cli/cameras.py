"""`cameras`: the cameras of all accounts, how they are, and what they saw last."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import click

from blinkarchive.blink.details import Details
from blinkarchive.blink.listing import pages
from blinkarchive.blink.wire import Family
from blinkarchive.cli import house, running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import NOTHING, ago, iso, minute, record, table
from blinkarchive.clock import Clock
from blinkarchive.retry import Patience, retry

if TYPE_CHECKING:
    from blinkarchive.blink import Camera, Client, MediaItem, MediaPage, Network

PAGES = 4
"""So many pages of the list of clips are looked at for each camera's newest."""

WORDS = {Family.CAMERA: "battery", Family.OWL: "wired", Family.DOORBELL: "doorbell", Family.OTHER: "unknown kind"}
"""What people call the families."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A camera, and what belongs to it."""

    account: str
    #: Unique within the account.
    name: str
    camera: Camera
    network_name: str
    network: Network | None
    #: "F" or "C": how the owner wants temperatures; None when it is not known.
    unit: str | None
    #: Its newest clip in the cloud, as far as the list was looked at.
    newest: MediaItem | None

    @property
    def armed(self) -> bool | None:
        """Whether it records what moves: its network is armed, and it looks for motion itself."""
        return None if self.network is None else self.network.armed and self.camera.enabled

    @property
    def online(self) -> bool | None:
        return self.camera.well if self.camera.status else None


@click.command(cls=Verb, name="cameras")
@house.account_option
@click.pass_obj
def verb(session: Session, account: str | None) -> Exit:
    """List the cameras: how they are, and what they saw last.

    The names are those that snap, record, arm and disarm take: with its network where cameras are called alike. A camera is
    armed when its network is and it looks for motion itself. "-" is what Blink does not say. The last clip is looked for
    among the newest in the cloud; what is on a stick is not asked for.

    With --json there is one object: cameras, and troubles. No archive is needed, and no sink.

    Exit codes: 0 all done, 1 an account could not be read, 2 usage or config, 4 sign-in needed.
    """
    config = session.load()
    found, failed = running.run(lambda: house.each(config, account, _read))
    rows = [row for rows in found for row in rows]
    if session.json:
        told = [{"where": f"account {name}", "what": str(error)} for name, error in failed.items()]
        record({"cameras": [as_record(row) for row in rows], "troubles": told})
    elif rows or not failed:
        _tell(rows, accounts=len(config.accounts), now=Clock().now())
    return house.troubles(session, failed)


async def _read(account: str, client: Client) -> list[Row]:
    there = await house.look(account, client)
    details = Details()
    owner = await details.read(client.user, "the unit of temperatures is not known", account=account)
    newest: dict[int, MediaItem] = {}
    find = partial(_find_newest, client, {camera.id for camera in there.home.cameras}, newest)
    await details.read(find, "the last clips are not known", account=account)
    rows = []
    for name, camera in there.cameras.items():
        called, network = there.network(camera.network_id)
        rows.append(
            Row(
                account=account,
                name=name,
                camera=camera,
                network_name=called,
                network=network,
                unit=owner.unit if owner else None,
                newest=newest.get(camera.id),
            )
        )
    return sorted(rows, key=lambda row: (row.network_name.casefold(), row.name.casefold()))


async def _find_newest(client: Client, cameras: set[int], newest: dict[int, MediaItem]) -> None:
    """Add the newest clip of each camera, as far as the first pages of the list hold one; also those before a page that fails."""

    def ask(number: int) -> Awaitable[MediaPage]:
        return retry(partial(client.media_page, _BEGINNING, number), clock=Clock(), patience=Patience())

    async with aclosing(pages(ask, most=PAGES)) as listed:
        async for page in listed:
            for item in page.items:
                if item.device_id in cameras and item.media and not item.deleted:
                    known = newest.get(item.device_id, item)
                    newest[item.device_id] = max(known, item, key=lambda one: one.created_at)
            if cameras <= newest.keys():
                return


def as_record(row: Row) -> dict[str, object]:
    """A camera for programs. Names and meanings stay; there may be more of them one day."""
    camera, signals = row.camera, row.camera.signals
    return {
        "account": row.account,
        "name": row.name,
        "camera": camera.name,
        "id": camera.id,
        "network": row.network.name if row.network else None,
        "network_id": camera.network_id,
        "family": camera.family.value,
        "type": camera.type or None,
        "serial": camera.serial or None,
        "firmware": camera.fw_version or None,
        "armed": row.armed,
        "network_armed": row.network.armed if row.network else None,
        "motion_enabled": camera.enabled,
        "status": camera.status or None,
        "online": row.online,
        "battery": camera.battery or None,
        "battery_level": signals.battery,
        "wifi": signals.wifi,
        "sync_signal": signals.lfr,
        "temperature": signals.temp,
        "temperature_unit": row.unit if signals.temp is not None else None,
        "thumbnail_at": iso(camera.pictured_at),
        "last_clip_at": iso(row.newest.created_at) if row.newest else None,
    }


def _tell(rows: list[Row], *, accounts: int, now: datetime) -> None:
    columns = ("CAMERA", "NETWORK", "TYPE", "ARMED", "STATUS", "BATTERY", "SIGNAL", "TEMP", "LAST CLIP", "PICTURE", "ID")
    several = accounts > 1
    table(
        (*columns, "ACCOUNT") if several else columns,
        [(*_cells(row, now), row.account) if several else _cells(row, now) for row in rows],
        broad=True,
    )


def _cells(row: Row, now: datetime) -> tuple[str, ...]:
    camera, signals = row.camera, row.camera.signals
    kind = WORDS[camera.family]
    pictured = camera.pictured_at
    return (
        row.name,
        row.network_name,
        f"{camera.type} ({kind})" if camera.type else kind,
        _armed(row),
        "online" if row.online else camera.status or NOTHING,
        camera.battery or NOTHING,
        NOTHING if signals.wifi is None else f"{signals.wifi}/5",
        NOTHING if signals.temp is None else f"{signals.temp} °{row.unit or '?'}",
        f"{minute(row.newest.created_at)}, {ago(row.newest.created_at, now)}" if row.newest else NOTHING,
        ago(pictured, now) if pictured else NOTHING,
        str(camera.id),
    )


def _armed(row: Row) -> str:
    """Yes, or which of the two is off."""
    if row.network is None:
        return NOTHING
    if not row.network.armed:
        return "no (network)"
    return "yes" if row.camera.enabled else "no (camera)"
