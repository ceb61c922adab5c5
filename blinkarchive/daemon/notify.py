"""Who is told of an alarm, and how: the log, the plugins, and people through Apprise."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec

from blinkarchive.config import AlarmConfig
from blinkarchive.convert import SecretRef
from blinkarchive.daemon import apprise_child
from blinkarchive.daemon.proxy import read_proxy
from blinkarchive.environment import child_environment
from blinkarchive.errors import BlinkArchiveError, ConfigError
from blinkarchive.model import Alarm, AlarmChange
from blinkarchive.secret import Secret, redact

log = logging.getLogger(__name__)

DEADLINE = 30.0
"""How long all channels together may take for one message, in seconds."""

MOST_ALARMS = 10
LONGEST_WHAT = 300
"""How much of what is wrong goes into one message: some services refuse long ones."""

_SUFFIX = {AlarmChange.RAISED: "", AlarmChange.REMINDER: " (still there)", AlarmChange.CLEARED: " (over)"}

_FAILURES = {
    apprise_child.DELIVERED: "",
    apprise_child.UNKNOWN: "Apprise knows no such address",
    apprise_child.UNDELIVERED: "it was not delivered; the command `apprise -vv` with this address says why",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person reads."""

    title: str
    body: str
    #: "warning", or "success" when all of it is over: Apprise's words, for a colour or a sign.
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a message in one channel."""

    #: Its number and where its address is kept: "alarm 1 (environment variable ALARM_URL)".
    channel: str
    #: "" when it was delivered.
    failure: str = ""


_FOR_APPRISE = ("PYTHONPATH", "PYTHONHOME", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "DISPLAY", "WAYLAND_DISPLAY")
"""What its child process needs of the environment beside the usual: Python, certificates, a desktop."""

Hook = Callable[[Alarm], Awaitable[None]]
Deliver = Callable[[Message, Sequence[Secret], float], Awaitable[Sequence[str]]]
"""Sends a message to addresses within so many seconds, and gives for each why it failed, or ""."""


class Notifier:
    """Tells of alarms. Whatever becomes of it, nobody else has to care: it raises nothing, and ends in time."""

    def __init__(
        self, config: AlarmConfig, *, hook: Hook | None = None, deliver: Deliver | None = None, deadline: float = DEADLINE
    ) -> None:
        """`hook` is called for every alarm, such as `Registry.alarm`; `deliver` takes the place of Apprise.

        Raises `ConfigError` when there are addresses, and Apprise is not installed.
        """
        if config.notify and deliver is None and find_spec("apprise") is None:
            raise ConfigError('[alarm] notify needs Apprise: pip install "blinkarchive[notify]"')
        self._channels = channels(config)
        self._hook = hook
        self._deliver = deliver or partial(by_apprise, proxy=config.proxy)
        self._deadline = deadline

    async def send(self, alarms: Sequence[Alarm]) -> tuple[Told, ...]:
        """Tell of these alarms: the log and the plugins of each, people in one message for all. Gives what came of it by channel.

        A channel that fails is told in the log, and tried again with the next alarm.
        """
        if not alarms:
            return ()
        for alarm in alarms:
            _log(alarm)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_plugins(alarms))
            people = group.create_task(self._tell_people(message(alarms)))
        for told in people.result():
            if told.failure:
                log.warning("an alarm reached nobody there", extra={"channel": told.channel, "because": told.failure})
        return people.result()

    async def _tell_plugins(self, alarms: Sequence[Alarm]) -> None:
        for alarm in alarms if self._hook else ():
            assert self._hook is not None
            try:
                await self._hook(alarm)
            except Exception as error:  # noqa: BLE001  # an alarm harms nobody
                log.warning("a hook failed", extra={"because": redact(repr(error))})

    async def _tell_people(self, text: Message) -> tuple[Told, ...]:
        addresses: dict[str, Secret] = {}
        failures: dict[str, str] = {}
        for channel, ref in self._channels:
            try:
                addresses[channel] = await asyncio.to_thread(_read, ref)
            except BlinkArchiveError as error:
                failures[channel] = str(error)
        if addresses:
            failures |= await self._delivered(text, addresses)
        return tuple(Told(channel=channel, failure=failures[channel]) for channel, _ in self._channels)

    async def _delivered(self, text: Message, addresses: Mapping[str, Secret]) -> dict[str, str]:
        try:
            return dict(zip(addresses, await self._deliver(text, [*addresses.values()], self._deadline), strict=True))
        except BlinkArchiveError as error:
            return dict.fromkeys(addresses, str(error))
        except Exception as error:  # noqa: BLE001  # an alarm harms nobody; what the error says may hold an address
            return dict.fromkeys(addresses, f"it could not be sent ({type(error).__name__})")


def channels(config: AlarmConfig) -> list[tuple[str, SecretRef]]:
    """The channels to people, each with its name and where its address is kept."""
    return [(f"alarm {number} ({ref})", ref) for number, ref in enumerate(config.notify, 1)]


def message(alarms: Sequence[Alarm]) -> Message:
    """What a person reads of these alarms: plain words, no secrets, not too long."""
    over = all(alarm.change is AlarmChange.CLEARED for alarm in alarms)
    if len(alarms) == 1:
        title, body = f"{alarms[0].where}{_SUFFIX[alarms[0].change]}", _body(alarms[0])
    else:
        title = f"{len(alarms)} alarms{' (over)' if over else ''}"
        parts = [f"{alarm.where}{_SUFFIX[alarm.change]}: {_body(alarm)}" for alarm in alarms[:MOST_ALARMS]]
        if len(alarms) > MOST_ALARMS:
            parts.append(f"and {len(alarms) - MOST_ALARMS} more")
        body = "\n\n".join(parts)
    return Message(title=f"blinkarchive: {redact(title)}", body=redact(body), kind="success" if over else "warning")


async def by_apprise(text: Message, addresses: Sequence[Secret], deadline: float, *, proxy: SecretRef | None = None) -> list[str]:
    """Send a message through Apprise, in a process of its own; see `apprise_child` for why. It is gone when this returns.

    It inherits neither secrets nor a proxy of the environment. Raises `ConfigError` when the proxy cannot be read.
    """
    through = await asyncio.to_thread(read_proxy, proxy)
    failures = [f"there was no answer within {deadline:g} s"] * len(addresses)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-W", "ignore", apprise_child.__file__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=child_environment(_FOR_APPRISE),
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    order = {"title": text.title, "body": text.body, "kind": text.kind, "deadline": deadline}
    order |= {"addresses": [address.reveal() for address in addresses], "proxy": through.reveal() if through else ""}
    answered = set()
    try:
        async with asyncio.timeout(deadline):
            with suppress(ConnectionError):
                child.stdin.write(json.dumps(order).encode())
                await child.stdin.drain()
                child.stdin.close()
            async for line in child.stdout:
                index, outcome = json.loads(line)
                failures[index] = _FAILURES[outcome]
                answered.add(index)
        for index in {*range(len(addresses))} - answered:
            failures[index] = "Apprise ended without a word"
    except TimeoutError:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    return failures


def _read(ref: SecretRef) -> Secret:
    secret = ref.read()
    if secret is None:
        raise ConfigError(f"{ref} holds nothing")
    return secret


def _log(alarm: Alarm) -> None:
    facts = {"where": alarm.where, "what": alarm.what, "since": f"{alarm.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    match alarm.change:
        case AlarmChange.RAISED:
            log.warning("an alarm: something is wrong", extra=facts)
        case AlarmChange.REMINDER:
            log.warning("an alarm: something is wrong still", extra=facts)
        case AlarmChange.CLEARED:
            log.info("an alarm is over", extra=facts)


def _body(alarm: Alarm) -> str:
    what = alarm.what if len(alarm.what) <= LONGEST_WHAT else f"{alarm.what[: LONGEST_WHAT - 1]}…"
    if alarm.change is AlarmChange.CLEARED:
        return f"{what}\nfrom {_minute(alarm.since)} to {_minute(alarm.at)}"
    return f"{what}\nsince {_minute(alarm.since)}"


def _minute(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
