"""The houses of the accounts, as Blink shows them now, and how their owner's names are found in them."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from blinkarchive.blink.names import Entry, Named
from blinkarchive.blink.wire import Camera
from blinkarchive.cli.exits import Exit, exit_for
from blinkarchive.cli.login import account_of
from blinkarchive.cli.session import Session
from blinkarchive.cli.words import is_terminal, printable
from blinkarchive.clock import Clock
from blinkarchive.config import Config
from blinkarchive.convert import nearest
from blinkarchive.errors import BlinkArchiveError, Busy, CommandFailed, CommandUnfinished, ConfigError, LoginNeeded
from blinkarchive.retry import Patience, retry

if TYPE_CHECKING:
    from blinkarchive.blink import Client, Homescreen, Network

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What an account has."""

    account: str
    home: Homescreen
    networks: Named[Network]
    cameras: Named[Camera]

    def network(self, id: int) -> tuple[str, Network | None]:
        """A network by its id: what it is called, and what is known of it."""
        return next(((name, one) for name, one in self.networks.items() if one.id == id), (str(id), None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[T]):
    """A thing that was named, what it is called among its like, and whose it is."""

    house: House
    name: str
    thing: T


def account_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that names an account."""
    return click.option("--account", metavar="NAME", help="Only this account of the config.")(command)


async def look(account: str, client: Client) -> House:
    """Ask for all devices of an account."""
    home = await retry(client.homescreen, clock=Clock(), patience=Patience())
    for bad in home.malformed:
        log.warning("a device could not be understood", extra={"account": account, "device": bad.item, "because": bad.reason})
    return named(account, home)


def named(account: str, home: Homescreen) -> House:
    """A house in which everything has a name of its own."""
    networks = Named(Entry(thing=one, id=one.id, name=one.name or str(one.id)) for one in home.networks)
    called = {one.id: name for name, one in networks.items()}
    cameras = Named(
        Entry(thing=one, id=one.id, name=one.name or str(one.id), where=called.get(one.network_id, str(one.network_id)))
        for one in home.cameras
    )
    return House(account=account, home=home, networks=networks, cameras=cameras)


async def each(
    config: Config, account: str | None, read: Callable[[str, Client], Awaitable[T]]
) -> tuple[list[T], dict[str, BlinkArchiveError]]:
    """What is read of each account, or of the one that was named, side by side; and why it could not be read of others.

    Raises `ConfigError` when there is no such account.
    """
    from blinkarchive import wiring

    names = [account_of(config, account).name] if account or not config.accounts else list(config.accounts)
    found: dict[str, T] = {}
    failed: dict[str, BlinkArchiveError] = {}

    async def one(name: str) -> None:
        try:
            async with wiring.signed_in(config, name) as client:
                found[name] = await read(name, client)
        except BlinkArchiveError as error:
            failed[name] = error

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(name))
    return [found[name] for name in names if name in found], {name: failed[name] for name in names if name in failed}


async def all_of(config: Config, account: str | None) -> list[House]:
    """All the houses: a name means one thing only if it was looked for in each. Raises what any of them met."""
    houses, failed = await each(config, account, look)
    for name, error in failed.items():
        if isinstance(error, LoginNeeded):
            error.add_note(_needs_you(name))
        elif len(config.accounts) > 1:
            error.add_note(f"Account {name} could not be asked.")
        if len(config.accounts) > 1 and not account:
            error.add_note("If the name is one of another account, say so: --account NAME")
    if failed:
        raise ExceptionGroup("not every account could be asked", list(failed.values()))
    return houses


def troubles(session: Session, failed: Mapping[str, BlinkArchiveError]) -> Exit:
    """Tell why accounts could not be read, and give the exit code for it."""
    for name, error in failed.items():
        session.say(f"Error: account {name}: {error}", error=True)
        if isinstance(error, LoginNeeded):
            session.say(_needs_you(name), error=True)
    return exit_for(ExceptionGroup("", list(failed.values()))) if failed else Exit.DONE


def _needs_you(account: str) -> str:
    return f"Account {account} needs you: blinkarchive login --account {account}"


def camera(name: str, houses: Iterable[House]) -> Found[Camera]:
    """The camera of this name or id. Raises `ConfigError` when there is none, or several."""
    houses = list(houses)
    found = _one(name, houses, lambda house: house.cameras)
    if found is None:
        raise ConfigError(f'there is no camera "{printable(name)}"{nearest(name, _names(houses, lambda one: one.cameras))}')
    return found


def network_or_camera(name: str, houses: Iterable[House]) -> Found[Network] | Found[Camera]:
    """The network of this name or id, else the camera. Raises `ConfigError` when there is none, or several."""
    houses = list(houses)
    if network := _one(name, houses, lambda house: house.networks):
        return network
    if camera := _one(name, houses, lambda house: house.cameras):
        return camera
    known = {*_names(houses, lambda one: one.networks), *_names(houses, lambda one: one.cameras)}
    raise ConfigError(f'there is no network and no camera "{printable(name)}"{nearest(name, known)}')


def _names(houses: Iterable[House], things: Callable[[House], Named[Any]]) -> set[str]:
    return {printable(name) for house in houses for name in things(house)}


def _one(name: str, houses: list[House], things: Callable[[House], Named[T]]) -> Found[T] | None:
    hits = [(house, called) for house in houses for called in _called(things(house), name)]
    if len(hits) > 1:
        several = len({house.account for house, _ in hits}) > 1
        told = sorted(f'"{printable(called)}"' + (f" (--account {house.account})" if several else "") for house, called in hits)
        raise ConfigError(f'several are called "{printable(name)}"; name one of: {", ".join(told)}')
    return next((Found(house=house, name=called, thing=things(house)[called]) for house, called in hits), None)


def waiting(session: Session, found: Found[Network] | Found[Camera], line: str) -> None:
    """Tell a person at a terminal what is waited for; and anybody, that it may be in vain."""
    if is_terminal(sys.stderr):
        session.say(line)
    network = found.thing.network_id if isinstance(found.thing, Camera) else found.thing.id
    for module in found.house.home.sync_modules:
        if module.network_id == network and module.status == "offline":
            session.say(f"Its sync module {printable(module.name)} is offline, so this may take two minutes, and not be done.")


def _called(things: Named[Any], name: str) -> list[str]:
    """The names of what is called so, or has this id: of several, when they are called alike."""
    try:
        meant = [things[name]]
    except KeyError:
        meant = [one for one in things.values() if one.name.casefold() == name.casefold()]
    return [called for called, one in things.items() if any(one is each for each in meant)]


@contextmanager
def advised() -> Iterator[None]:
    """Add to what a device met within the block what to do about it."""
    try:
        yield
    except Busy as error:
        error.add_note("A sync module does one thing at a time, and it was asked for others first: try again in a minute.")
        raise
    except (CommandFailed, CommandUnfinished) as error:
        error.add_note("Is the device online? `blinkarchive cameras` and `blinkarchive networks` tell; then try again.")
        raise
