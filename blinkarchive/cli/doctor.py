"""`doctor`: is everything that a run needs in order, and if not, what to do."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from blinkarchive import zone
from blinkarchive.cli import accounts, networks, running, trust
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.words import count, is_terminal, length, record, size, table
from blinkarchive.clock import Clock
from blinkarchive.config import Config, EncryptConfig, SinkConfig, default_file, inline_secrets, options
from blinkarchive.encryption import Recipients
from blinkarchive.errors import BlinkArchiveError, ConfigError, LoginNeeded, NothingArchived, OtherAccount, PluginError, SinkError
from blinkarchive.interfaces import AnySinkType, Sink
from blinkarchive.model import Alarm, AlarmChange, Content, Key, SinkName, Subject
from blinkarchive.pipeline import proof
from blinkarchive.pipeline.first_use import MARKER, what_is_there
from blinkarchive.pipeline.hands import Hands
from blinkarchive.pipeline.sending import Silence
from blinkarchive.registry import Registry
from blinkarchive.secret import redact

if TYPE_CHECKING:
    from blinkarchive.index import Index
    from blinkarchive.index.facts import LastOutcome

T = TypeVar("T")

AT_ONCE = 8
"""So many sinks, or accounts, are checked at the same time."""
DEADLINE = 20.0
"""How long one check may take, in seconds."""

CLOCK_OFF = timedelta(minutes=2)
"""A clock further off than this makes trouble with tokens and with the times of clips."""

LOW_DISK = 10**9
"""Less free space than this, in bytes, is worth a warning."""


STICKS = {
    "memory_full": "make room on the stick",
    "unmounted": "mount the stick with Blink's app",
    "format_required": "the stick must be formatted with Blink's app",
    "incompatible": "another stick is needed",
}
"""The states of a stick that want something done."""


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at, and what to do about it."""

    what: str
    verdict: Verdict
    found: str
    #: "" when there is nothing to do.
    advice: str = ""


@click.command(cls=Verb, name="doctor")
@click.option(
    "--test-alarm", is_flag=True, help="Only send a test alarm to all who would be told of one, and say whom it reached."
)
@click.option(
    "--accept-host-key", metavar="SINK", help="Only show who the server of a sink says it is, and trust that from here on."
)
@click.pass_obj
def verb(session: Session, test_alarm: bool, accept_host_key: str | None) -> Exit:
    """Check account, servers, modules, sinks, clock, disk and config, and say what to do.

    Asks Blink's servers one thing each, and the accounts that are signed in for their sync modules, without signing in anew;
    and stores and removes a small object in every sink.

    Exit codes: 0 nothing failed, 1 something did, 2 the config cannot be read; 3 a test alarm did not reach everybody.
    """
    config = session.load()
    if accept_host_key is not None:
        done = trust.accept(config, accept_host_key, _agrees)
        checks = [Check(what=f"host key of {accept_host_key}", verdict=Verdict.OK, found=done)]
    else:
        checks = running.run(lambda: _test_alarm(config) if test_alarm else _all(config))
    if session.json:
        record({"ok": _healthy(checks), "checks": [asdict(check) for check in checks]})
    else:
        table(("CHECK", "STATE", "FOUND", "WHAT TO DO"), [(one.what, one.verdict, one.found, one.advice) for one in checks])
    if _healthy(checks):
        return Exit.DONE
    return Exit.SOME_FAILED if test_alarm else Exit.ERROR


def _agrees(question: str) -> bool:
    """Whoever asked for it on a terminal sees it before it is done; a script has agreed by asking."""
    return not is_terminal(sys.stdin) or click.confirm(question, err=True)


def _healthy(checks: list[Check]) -> bool:
    return all(check.verdict is not Verdict.FAIL for check in checks)


async def _all(config: Config) -> list[Check]:
    registry = _plugins(config)
    return [
        *_config(config, registry),
        *_state(config),
        _time_zone(),
        await _index(config),
        *await _runs(config),
        *await _accounts(config),
        *[check async for check in _bound(config)],
        *[check async for check in _servers(config)],
        *await _side_by_side(_modules(config, name) for name in config.accounts),
        *await _side_by_side(
            [
                *(_sink_checks(config, registry, name, sink) for name, sink in config.sinks.items()),
                *(_catalogues(config, name) for name in config.sinks),
            ]
        ),
        *_alarm(config),
    ]


async def _side_by_side(works: Iterable[Awaitable[list[Check]]]) -> list[Check]:
    """The checks of several places, in their order, a few at a time: one that is silent delays no other."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(work: Awaitable[list[Check]]) -> list[Check]:
        async with free:
            return await work

    return [check for checks in await asyncio.gather(*map(one, works)) for check in checks]


def _plugins(config: Config) -> Registry:
    return Registry.load(kinds={sink.type for sink in config.sinks.values()}, also=config.plugins.load)


def _config(config: Config, registry: Registry) -> Iterator[Check]:
    if config.file is None and not config.accounts:
        yield Check(what="config", verdict=Verdict.FAIL, found=f"there is no {default_file()}", advice="blinkarchive init")
        return
    where = str(config.file or "the environment")
    in_file = [f"[account.{name}] password" for name, account in config.accounts.items() if account.password_in_file]
    for sink in config.sinks.values():
        with suppress(BlinkArchiveError):  # the sink has a line of its own
            in_file += [f"[sink.{sink.name}] {key}" for key in inline_secrets(registry.sink_type(sink.type).options, sink)]
    in_file += [f"[alarm] {key}" for key in config.alarm.in_file]
    for warning in config.warnings:
        found, _, advice = warning.rpartition(": ")
        yield Check(what="config", verdict=Verdict.FAIL, found=found, advice=advice)
    if in_file and not config.warnings:
        advice = "keep it elsewhere: { env = … }, { file = … } or { keyring = … }"
        yield Check(what="config", verdict=Verdict.WARN, found=f"{where} holds {', '.join(in_file)} in clear", advice=advice)
    elif not config.warnings:
        yield Check(what="config", verdict=Verdict.OK, found=where)
    if not config.sinks:
        yield Check(what="sinks", verdict=Verdict.FAIL, found="the config has none", advice="add a table [sink.NAME]")
    for name in config.plugins.load:
        failure = registry.failures.get(name)
        verdict = Verdict.FAIL if failure else Verdict.OK
        yield Check(what=f"plugin {name}", verdict=verdict, found=str(failure or "loaded"))


def _state(config: Config) -> Iterator[Check]:
    folder = config.archive.state
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        free = shutil.disk_usage(there).free
        mode = folder.stat().st_mode & 0o077 if folder.exists() else 0
    except OSError as error:
        yield Check(what="state folder", verdict=Verdict.FAIL, found=f"{folder}: {error.strerror}")
        return
    if mode:
        yield Check(what="state folder", verdict=Verdict.WARN, found=f"{folder} is open to others", advice=f"chmod 700 {folder}")
    else:
        yield Check(
            what="state folder", verdict=Verdict.OK, found=str(folder) if folder.exists() else f"{folder} (made by the first run)"
        )
    needed = config.archive.largest_clip + config.archive.reserve
    verdict = Verdict.FAIL if free < config.archive.reserve else Verdict.WARN if free < max(needed, LOW_DISK) else Verdict.OK
    yield Check(
        what="disk",
        verdict=verdict,
        found=f"{size(free)} free for clips on their way",
        advice="" if verdict is Verdict.OK else "make room, or put [archive] state on another disk",
    )


def _time_zone() -> Check:
    """Whether the time zone of this machine is known."""
    if wrong := zone.problem():
        advice = "set TZ to a name such as Europe/Berlin, or unset it"
        return Check(what="time zone", verdict=Verdict.WARN, found=wrong, advice=advice)
    here = zone.local_zone()
    return Check(what="time zone", verdict=Verdict.OK, found=getattr(here, "key", None) or "UTC")


async def _index(config: Config) -> Check:
    """Whether the index can be read."""
    from blinkarchive import wiring

    try:
        async with wiring.reading(config) as index:
            clips = (await index.summary(())).clips
    except NothingArchived:
        return Check(what="index", verdict=Verdict.OK, found="none yet (made by the first run)")
    except BlinkArchiveError as error:
        return Check(what="index", verdict=Verdict.FAIL, found=str(error))
    return Check(what="index", verdict=Verdict.OK, found=count(clips, "clip"))


async def _runs(config: Config) -> list[Check]:
    """Whether all is well with the parts of the archive, as `status --check` judges it; and clips that failed permanently."""
    from blinkarchive.cli.status import not_well, read

    try:
        status = await read(config)
    except BlinkArchiveError:  # the index has a line of its own
        return []
    checks = []
    if status.runs or status.killed:
        advice = "blinkarchive status says more; then blinkarchive run"
        checks = [
            Check(
                what="runs",
                verdict=Verdict.WARN if one.untried else Verdict.FAIL,
                found=f"{one.where}: {one.what}",
                advice="blinkarchive run" if one.untried else advice,
            )
            for one in not_well(config, status, Clock().now())
            if not one.urgent  # a sign-in: the account has a line of its own
        ] or [Check(what="runs", verdict=Verdict.OK, found="the last ones were good")]
    if status.given_up:
        found = f"{count(len(status.given_up), 'clip')} failed permanently"
        advice = "blinkarchive status says why; blinkarchive dismiss CLIP ends it"
        checks.append(Check(what="clips", verdict=Verdict.WARN, found=found, advice=advice))
    return checks


async def _accounts(config: Config) -> list[Check]:
    outcomes = None
    with suppress(BlinkArchiveError):  # the index has a line of its own
        outcomes = await _asked(config, lambda index: index.outcomes())
    return list(_each_account(config, outcomes))


def _each_account(config: Config, outcomes: Mapping[Subject, LastOutcome] | None) -> Iterator[Check]:
    if not config.accounts:
        yield Check(what="accounts", verdict=Verdict.FAIL, found="the config has none", advice="add a table [account.NAME]")
    for name, account in config.accounts.items():
        what, standing = f"account {name}", accounts.standing(config, account, Clock().now(), outcomes)
        found = f"{standing.state.value}: {standing.detail}" if standing.detail else standing.state.value
        if standing.state is accounts.SignIn.HELD_BACK:
            yield Check(what=what, verdict=Verdict.FAIL, found=found, advice="wait; do not sign in again before that")
            continue
        if standing.state is not accounts.SignIn.SIGNED_IN:
            code = " --code CODE" if standing.state is accounts.SignIn.CODE_NEEDED else ""
            yield Check(what=what, verdict=Verdict.FAIL, found=found, advice=f"blinkarchive login --account {name}{code}")
            continue
        try:
            kept = account.read_password() is not None
        except BlinkArchiveError as error:
            yield Check(what=what, verdict=Verdict.WARN, found=f"{found}; {error}", advice="mend [account.NAME] password")
            continue
        found += "; a password is kept for a new sign-in" if kept else "; no password is kept, so a new sign-in needs you"
        yield Check(what=what, verdict=Verdict.OK, found=found)


async def _bound(config: Config) -> AsyncIterator[Check]:
    """Whether each sign-in is of the Blink account whose clips the archive has under the account's name."""
    from blinkarchive import wiring
    from blinkarchive.blink import TokenFile
    from blinkarchive.wiring.identity import refuse_other

    with suppress(BlinkArchiveError):  # the index and the sign-in have lines of their own
        bound = await _asked(config, lambda index: index.accounts()) or {}
        for name in config.accounts.keys() & bound.keys():
            try:
                tokens = TokenFile(wiring.State(folder=config.archive.state).account(name)).load()
                if tokens is not None and tokens.account_id is not None:
                    refuse_other(name, str(tokens.account_id), bound[name])
            except OtherAccount as error:
                advice = f"blinkarchive login --account {name}"
                yield Check(what=f"account {name}", verdict=Verdict.FAIL, found=str(error), advice=advice)
            except BlinkArchiveError:
                continue


async def _servers(config: Config) -> AsyncIterator[Check]:
    """Whether the servers of the accounts answer, and whether their clock is ours."""
    import aiohttp

    from blinkarchive.blink import Endpoints
    from blinkarchive.blink.http import trusting

    asked: dict[tuple[str, Path | None], None] = {}
    for account in config.accounts.values():
        servers = Endpoints.of(api_url=account.api_url, oauth_url=account.oauth_url)
        asked |= {(str(origin), account.ca_file): None for origin in (servers.oauth, servers.first)}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session:
        for origin, ca_file in asked:
            what = f"server {origin}"
            try:
                trust = trusting(ca_file) if ca_file else True
                async with session.head(f"{origin}/", allow_redirects=False, ssl=trust) as answer:
                    date = answer.headers.get("Date", "")
            except ConfigError as error:
                yield Check(what=what, verdict=Verdict.FAIL, found=str(error), advice="correct ca_file in the account's table")
                continue
            except (aiohttp.ClientError, TimeoutError) as error:
                advice = "is this machine online, and does its name server work?"
                because = str(error) or type(error).__name__
                yield Check(what=what, verdict=Verdict.FAIL, found=f"no answer: {because}", advice=advice)
                continue
            yield Check(what=what, verdict=Verdict.OK, found="answers")
            with suppress(ValueError, TypeError):
                yield clock(abs(parsedate_to_datetime(date) - Clock().now()))


def clock(off: timedelta) -> Check:
    """Whether a clock that is so far off is good enough."""
    if off > CLOCK_OFF:
        found = f"{length(off.total_seconds())} off the server's"
        return Check(what="clock", verdict=Verdict.FAIL, found=found, advice="set the clock of this machine (NTP)")
    return Check(what="clock", verdict=Verdict.OK, found="agrees with the server's")


async def _modules(config: Config, name: str) -> list[Check]:
    """How the sync modules of an account and their sticks are, if it is signed in. No module is woken for it."""
    from blinkarchive import wiring

    if accounts.standing(config, config.accounts[name], Clock().now()).state is not accounts.SignIn.SIGNED_IN:
        return []  # the account has a line of its own
    what = f"modules of {name}"
    try:
        async with asyncio.timeout(DEADLINE), wiring.signed_in(config, name, by_password=False) as client:
            rows = await networks.read(name, client)
    except LoginNeeded as error:
        return [Check(what=what, verdict=Verdict.FAIL, found=str(error), advice=f"blinkarchive login --account {name}")]
    except TimeoutError:
        return [Check(what=what, verdict=Verdict.WARN, found=f"no answer within {length(DEADLINE)}")]
    except BlinkArchiveError as error:
        return [Check(what=what, verdict=Verdict.WARN, found=str(error))]
    return [module(row.name, one) for row in rows for one in row.modules]


def module(network: str, one: networks.Module) -> Check:
    """How a sync module and its stick are."""
    found = f"{one.module.status or 'says nothing of itself'}; stick {networks.stick(one)}"
    advice = ""
    if one.module.offline:
        advice = "has it power, and is it in reach of the router?"
    elif one.state in STICKS:
        advice = STICKS[one.state]
    what = f"module {one.module.name or one.module.id} of {network}"
    return Check(what=what, verdict=Verdict.WARN if advice else Verdict.OK, found=found, advice=advice)


async def _sink_checks(config: Config, registry: Registry, name: SinkName, sink: SinkConfig) -> list[Check]:
    what = f"sink {name}"
    try:
        kind = registry.sink_type(sink.type)
        async with Hands() as hands:
            return await hands.do(partial(_sink, config, sink, kind, what), Silence(DEADLINE))
    except TimeoutError:
        found, advice = f"no answer within {length(DEADLINE)}", "is it online?"
    except ConfigError as error:
        found, advice = _in_a_line(error), "mend the config"
    except PluginError as error:
        found, advice = str(error), "mend or update the plugin"
    except BlinkArchiveError as error:
        found, advice = str(error), "mend it; the next run catches up"
    except Exception as error:  # noqa: BLE001  # code of the plugin
        found, advice = redact(f"its plugin failed: {type(error).__name__}: {error}"), "mend or update the plugin"
    return [Check(what=what, verdict=Verdict.FAIL, found=found, advice=advice)]


async def _catalogues(config: Config, name: SinkName) -> list[Check]:
    """Whether a sink lists copies that the index does not know. A sink that is away has a line of its own."""
    from blinkarchive import wiring

    with suppress(TimeoutError, BlinkArchiveError):
        async with asyncio.timeout(DEADLINE):
            if unknown := await wiring.unknown(config, name):
                return [Check(what=f"catalogues of {name}", verdict=Verdict.WARN, found=str(unknown))]
    return []


def _in_a_line(error: ConfigError) -> str:
    """Everything that is wrong, without the heading that several wrong things have."""
    first, *others = str(error).splitlines()
    return "; ".join(other.strip() for other in others) or first


async def _sink(config: Config, sink: SinkConfig, kind: AnySinkType, what: str) -> list[Check]:
    """Whether a sink can be written and read, else whether it can be read at least."""
    if isinstance(sink.encrypt, EncryptConfig):
        Recipients(sink.encrypt.recipients)
    try:
        return await _written(config, sink, kind, what)
    except SinkError as error:
        if not await _readable(sink, kind):
            raise
        advice = "enough for restore and verify; a run needs write access"
        return [Check(what=what, verdict=Verdict.FAIL, found=f"can be read, and nothing can be stored: {error}", advice=advice)]


async def _readable(sink: SinkConfig, kind: AnySinkType) -> bool:
    """Whether a sink can be opened to read, and has the marker of an archive."""
    try:
        async with (kind.open_to_read or kind.open)(options(kind.options, sink)) as opened:
            return await opened.stat(MARKER) is not None
    except BlinkArchiveError:
        return False


async def _written(config: Config, sink: SinkConfig, kind: AnySinkType, what: str) -> list[Check]:
    """Open a sink, look for the marker of an earlier run, and store and remove a small object; and hear what it has to say."""
    async with kind.open(options(kind.options, sink)) as opened:
        marked = await opened.stat(MARKER) is not None
        if not marked and await _was_used(config, sink.name):
            found = "the marker of earlier runs is not there: this is not the place it was"
            return [Check(what=what, verdict=Verdict.FAIL, found=found, advice="is the right disk mounted?")]
        if not marked and (there := await what_is_there(opened)):
            advice = f"check path, prefix and password, or: blinkarchive sinks adopt {sink.name}"
            return [
                Check(
                    what=what, verdict=Verdict.FAIL, found=f"new to this archive and not empty: it holds {there}", advice=advice
                )
            ]
        if sink.encrypt is None and await _was_encrypted(config, sink.name):
            found = "what is in it is encrypted, and the config does not say for whom any more: nothing is put there"
            return [Check(what=what, verdict=Verdict.FAIL, found=found, advice="put `encrypt` back, or say encrypt = false")]
        left = await _probe(opened)
        notes = [Check(what=what, verdict=Verdict.WARN, found=str(note)) for note in getattr(opened, "notes", ())]
    if isinstance(sink.encrypt, EncryptConfig) and (number := await _in_clear(config, sink.name)):
        found = f"holds {count(number, 'clip')} that came before it was to be encrypted, and are not"
        notes.append(Check(what=what, verdict=Verdict.WARN, found=found))
    if left:
        found = f"stores, but does not delete ({left}): a small object {left} stays there"
        return [Check(what=what, verdict=Verdict.WARN, found=found), *notes]
    found = "stores, reads and deletes" if marked else "stores, reads and deletes; new, no clip yet"
    return [Check(what=what, verdict=Verdict.OK, found=found), *notes]


async def _was_used(config: Config, name: SinkName) -> bool:
    return await _asked(config, lambda index: index.sink_id(name)) is not None


async def _was_encrypted(config: Config, name: SinkName) -> bool:
    return bool((await _asked(config, lambda index: index.recipients()) or {}).get(name))


async def _in_clear(config: Config, name: SinkName) -> int:
    return await _asked(config, lambda index: index.in_clear(name)) or 0


async def _asked(config: Config, question: Callable[[Index], Awaitable[T]]) -> T | None:
    """What the index says; None when there is none."""
    from blinkarchive import wiring

    try:
        async with wiring.reading(config) as index:
            return await question(index)
    except NothingArchived:
        return None


async def _probe(sink: Sink) -> str:
    """Store a small object, read it back and delete it. Gives its key when it could not be deleted. Raises `SinkError`."""
    text = f"blinkarchive doctor was here; this can be deleted\n{secrets.token_hex(16)}\n".encode()
    key = Key(f".blinkarchive-probe-{secrets.token_hex(8)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe"
        path.write_bytes(text)
        await sink.put(key, Content(path=path, size=len(text), sha256=hashlib.sha256(text).hexdigest()))
    stored = await sink.stat(key)
    if stored is None or stored.size != len(text):
        raise SinkError(f"what was just stored is not there as it was: {stored}")
    read = b""
    async with proof.opened(sink, key, len(text) + 1) as chunks:
        async for chunk in chunks:
            read += chunk
    if read != text:
        raise SinkError("what was just stored came back as other bytes: nothing that it holds can be relied on")
    try:
        await sink.delete(key)
    except SinkError:
        return key
    return ""


def _alarm(config: Config) -> Iterator[Check]:
    """Whether there is an address for each who is to be told. Nothing is sent."""
    from blinkarchive.daemon.notify import Notifier, channels
    from blinkarchive.daemon.ping import Ping
    from blinkarchive.daemon.proxy import read_proxy

    try:
        read_proxy(config.alarm.proxy)
    except ConfigError as error:
        yield Check(what="proxy", verdict=Verdict.FAIL, found=str(error), advice="fix [alarm] proxy")
    try:
        Notifier(config.alarm)
    except ConfigError as error:
        yield Check(what="alarm", verdict=Verdict.FAIL, found=str(error))
        return
    for what, ref in channels(config.alarm):
        try:
            wrong = "" if ref.read() else f"{ref} holds nothing"
        except ConfigError as error:
            wrong = str(error)
        if wrong:
            yield Check(what=what, verdict=Verdict.FAIL, found=wrong, advice="mend [alarm] notify")
        else:
            yield Check(what=what, verdict=Verdict.OK, found="has an address; --test-alarm tries it")
    if config.alarm.ping is not None:
        try:
            Ping(config.alarm.ping, clock=Clock()).check()
        except ConfigError as error:
            yield Check(what="ping", verdict=Verdict.FAIL, found=str(error), advice="mend [alarm] ping")
        else:
            yield Check(what="ping", verdict=Verdict.OK, found="has an address; it is called after good runs alone")


async def _test_alarm(config: Config) -> list[Check]:
    """Tell all who would be told of an alarm that this is a test. Raises `ConfigError` when there is nobody."""
    from blinkarchive.daemon.notify import Notifier

    registry = _plugins(config)
    now = Clock().now()
    alarm = Alarm(where="test", what="this is a test, nothing is wrong", change=AlarmChange.RAISED, since=now, at=now)
    told = await Notifier(config.alarm, hook=registry.alarm).send([alarm])
    failed = {name: str(error) for name, error in registry.failures.items() if name in config.plugins.load}
    failed = {f"plugin {name}": what for name, what in failed.items()} | {one.where: one.what for one in registry.troubles}
    listeners = [plugin.name for plugin in registry.plugins() if "blinkarchive_alarm" in plugin.hooks]
    outcomes = {one.channel: one.failure for one in told}
    outcomes |= {what: failed.get(what, "") for what in dict.fromkeys((*(f"plugin {name}" for name in listeners), *failed))}
    if not outcomes:
        raise ConfigError("an alarm would be in the log alone: [alarm] notify is empty, and no plugin listens to alarms")
    return [
        Check(what=what, verdict=Verdict.FAIL if failure else Verdict.OK, found=failure or "was told")
        for what, failure in outcomes.items()
    ]
