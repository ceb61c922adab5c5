"""`networks`: the networks of all accounts, their sync modules, and the sticks in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from blinkarchive.blink.details import Details
from blinkarchive.blink.wire import NO_STORAGE, READABLE
from blinkarchive.cli import house, running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import NOTHING, iso, record, table

if TYPE_CHECKING:
    from blinkarchive.blink import Client, Network, SyncModule
    from blinkarchive.blink.wire import StorageStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A sync module, and what it says of its stick, if it says anything."""

    module: SyncModule
    stick: StorageStatus | None

    @property
    def state(self) -> str:
        """The state of its stick; "" when it is not known."""
        return (self.stick.usb_state if self.stick else self.module.local_storage_status).casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A network, and what belongs to it."""

    account: str
    #: Unique within the account.
    name: str
    network: Network
    cameras: int
    modules: tuple[Module, ...]


@click.command(cls=Verb, name="networks")
@house.account_option
@click.pass_obj
def verb(session: Session, account: str | None) -> Exit:
    """List the networks, their sync modules and the sticks in them.

    The names are those that arm and disarm take: with its id where networks are called alike. "-" is what there is not, or
    what Blink does not say.

    With --json there is one object: networks, and troubles. No archive is needed, and no sink.

    Exit codes: 0 all done, 1 an account could not be read, 2 usage or config, 4 sign-in needed.
    """
    config = session.load()
    found, failed = running.run(lambda: house.each(config, account, read))
    rows = [row for rows in found for row in rows]
    if session.json:
        told = [{"where": f"account {name}", "what": str(error)} for name, error in failed.items()]
        record({"networks": [as_record(row) for row in rows], "troubles": told})
    elif rows or not failed:
        _tell(rows, accounts=len(config.accounts))
    return house.troubles(session, failed)


async def read(account: str, client: Client) -> list[Row]:
    """The networks of an account. No module is woken for it."""
    there = await house.look(account, client)
    details = Details()
    modules = [Module(module=module, stick=await _stick(client, module, details)) for module in there.home.sync_modules]
    return [
        Row(
            account=account,
            name=name,
            network=network,
            cameras=sum(camera.network_id == network.id for camera in there.home.cameras),
            modules=tuple(one for one in modules if one.module.network_id == network.id),
        )
        for name, network in sorted(there.networks.items(), key=lambda item: item[0].casefold())
    ]


async def _stick(client: Client, module: SyncModule, details: Details) -> StorageStatus | None:
    if module.local_storage_status.casefold() == NO_STORAGE:
        return None
    failure = "the state of a module's USB storage is not known"
    return await details.read(client.local_storage(module).status, failure, sync_module=module.id)


def as_record(row: Row) -> dict[str, object]:
    """A network for programs. Names and meanings stay; there may be more of them one day."""
    return {
        "account": row.account,
        "name": row.name,
        "network": row.network.name,
        "id": row.network.id,
        "armed": row.network.armed,
        "time_zone": row.network.time_zone or None,
        "cameras": row.cameras,
        "sync_modules": [
            {
                "name": one.module.name,
                "id": one.module.id,
                "type": one.module.type or None,
                "serial": one.module.serial or None,
                "status": one.module.status or None,
                "online": one.module.status.casefold() == "online" if one.module.status else None,
                "firmware": one.module.fw_version or None,
                "wifi": one.module.wifi_strength,
                "heard_at": iso(one.module.last_hb),
                "stick": one.state or None,
                "stick_readable": one.state in READABLE,
                "stick_used_percent": one.stick.usb_storage_used if one.stick else None,
            }
            for one in row.modules
        ],
    }


def _tell(rows: list[Row], *, accounts: int) -> None:
    columns = ("NETWORK", "ARMED", "CAMERAS", "SYNC MODULE", "STATUS", "FIRMWARE", "WIFI", "STICK", "ID")
    several = accounts > 1
    cells = []
    for row in rows:
        for module in row.modules or (None,):
            armed = "yes" if row.network.armed else "no"
            line = (row.name, armed, str(row.cameras), *_of_module(module), str(row.network.id))
            cells.append((*line, row.account) if several else line)
    table((*columns, "ACCOUNT") if several else columns, cells, broad=True)


def _of_module(one: Module | None) -> tuple[str, ...]:
    if one is None:
        return (NOTHING,) * 5
    module = one.module
    wifi = NOTHING if module.wifi_strength is None else f"{module.wifi_strength}/5"
    return (
        module.name or str(module.id),
        module.status or NOTHING,
        module.fw_version or NOTHING,
        wifi,
        stick(one),
    )


def stick(one: Module) -> str:
    """The state of a stick in words."""
    used = one.stick.usb_storage_used if one.stick else None
    return (one.state or NOTHING) + (f", {used}% used" if used is not None else "")
