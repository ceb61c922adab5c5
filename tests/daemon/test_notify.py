"""Alarms reach the log, the plugins, and people; and no channel that fails harms anybody."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from blinkarchive import Alarm, AlarmChange, ConfigError
from blinkarchive.cli.logs import LineFormatter
from blinkarchive.config import AlarmConfig
from blinkarchive.convert import SecretRef
from blinkarchive.daemon import apprise_child
from blinkarchive.daemon.notify import LONGEST_WHAT, Message, Notifier, Told, by_apprise, message
from blinkarchive.secret import Secret

SINCE = datetime(2026, 3, 1, 8, 34, 59, tzinfo=UTC)
RAISED = Alarm(where="sink nas", what="its marker is missing", change=AlarmChange.RAISED, since=SINCE, at=SINCE)
REMINDER = Alarm(
    where="account home", what="needs a sign-in", change=AlarmChange.REMINDER, since=SINCE, at=SINCE + timedelta(days=1)
)
CLEARED = Alarm(
    where="sink nas", what="its marker is missing", change=AlarmChange.CLEARED, since=SINCE, at=SINCE + timedelta(hours=2)
)
CANARY = "canary-5ecret"


def inline(address: str) -> SecretRef:
    return SecretRef(kind="inline", inline=Secret(address))


def config(*addresses: str) -> AlarmConfig:
    return AlarmConfig(notify=tuple(inline(address) for address in addresses))


class People:
    """Takes the place of Apprise: remembers what was sent where, and fails as it is told."""

    def __init__(self, *failures: str) -> None:
        self.failures = failures
        self.heard: list[Message] = []
        self.addresses: list[str] = []

    async def __call__(self, text: Message, addresses: Sequence[Secret], deadline: float) -> list[str]:
        self.heard.append(text)
        self.addresses = [address.reveal() for address in addresses]
        return [*self.failures, *[""] * len(addresses)][: len(addresses)]


# -- words


def test_a_person_reads_what_is_wrong_where_and_since_when() -> None:
    assert message([RAISED]) == Message(
        title="blinkarchive: sink nas", body="its marker is missing\nsince 2026-03-01 08:34 UTC", kind="warning"
    )


def test_a_reminder_and_an_all_clear_say_so() -> None:
    assert message([REMINDER]).title == "blinkarchive: account home (still there)"
    assert message([CLEARED]) == Message(
        title="blinkarchive: sink nas (over)",
        body="its marker is missing\nfrom 2026-03-01 08:34 UTC to 2026-03-01 10:34 UTC",
        kind="success",
    )


def test_several_alarms_are_one_message() -> None:
    text = message([RAISED, REMINDER])
    assert (text.title, text.kind) == ("blinkarchive: 2 alarms", "warning")
    assert text.body.split("\n\n") == [
        "sink nas: its marker is missing\nsince 2026-03-01 08:34 UTC",
        "account home (still there): needs a sign-in\nsince 2026-03-01 08:34 UTC",
    ]
    assert message([CLEARED, CLEARED]).title == "blinkarchive: 2 alarms (over)"
    assert message([CLEARED, RAISED]).kind == "warning"


def test_a_message_has_its_limits() -> None:
    long = Alarm(where="sink nas", what="x" * 10_000, change=AlarmChange.RAISED, since=SINCE, at=SINCE)
    assert len(message([long]).body) < LONGEST_WHAT + 50
    many = message([long] * 25)
    assert len(many.body) < 11 * (LONGEST_WHAT + 60)
    assert many.body.endswith("and 15 more")


def test_what_looks_like_a_secret_goes_to_nobody() -> None:
    leaking = Alarm(where="account me@example.org", what=f"password={CANARY}", change=AlarmChange.RAISED, since=SINCE, at=SINCE)
    text = message([leaking])
    assert CANARY not in text.title + text.body
    assert "me@example.org" not in text.title + text.body


# -- channels


async def test_the_log_is_always_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert await Notifier(AlarmConfig()).send([RAISED, REMINDER, CLEARED]) == ()
    lines = [LineFormatter().format(record).split(" ", 1)[1] for record in caplog.records]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING, logging.INFO]
    assert lines[0] == (
        "WARNING blinkarchive.daemon.notify: an alarm: something is wrong "
        'where="sink nas" what="its marker is missing" since=2026-03-01T08:34:59Z'
    )


async def test_every_plugin_and_every_address_is_told() -> None:
    heard: list[Alarm] = []

    async def hook(alarm: Alarm) -> None:
        heard.append(alarm)

    people = People()
    told = await Notifier(config("a://1", "b://2"), hook=hook, deliver=people).send([RAISED, REMINDER])
    assert heard == [RAISED, REMINDER]
    assert people.addresses == ["a://1", "b://2"]
    assert [text.title for text in people.heard] == ["blinkarchive: 2 alarms"]
    assert told == (Told(channel="alarm 1 (the config itself)"), Told(channel="alarm 2 (the config itself)"))


async def test_nothing_to_tell_is_told_nobody() -> None:
    people = People()
    assert await Notifier(config("a://1"), deliver=people).send([]) == ()
    assert people.heard == []


async def test_an_address_that_cannot_be_read_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    refs = (
        SecretRef(kind="env", at="NOT_SET"),
        SecretRef(kind="file", at=str(tmp_path)),
        inline("good://x"),
    )
    people = People()
    told = await Notifier(AlarmConfig(notify=refs), deliver=people).send([RAISED])
    assert people.addresses == ["good://x"]
    assert told[0] == Told(channel="alarm 1 (environment variable NOT_SET)", failure="environment variable NOT_SET holds nothing")
    assert "cannot be read" in told[1].failure
    assert told[2].failure == ""
    assert len([record for record in caplog.records if "reached nobody" in record.message]) == 2


async def test_an_address_is_read_anew_for_every_message(tmp_path: Path) -> None:
    file = tmp_path / "url"
    people = People()
    notifier = Notifier(AlarmConfig(notify=(SecretRef(kind="file", at=str(file)),)), deliver=people)
    file.write_text("old://x\n")
    await notifier.send([RAISED])
    file.write_text("new://x\n")
    await notifier.send([RAISED])
    assert people.addresses == ["new://x"]


async def test_a_channel_that_failed_is_tried_again_with_the_next_alarm() -> None:
    people = People("down")
    notifier = Notifier(config("a://1", "b://2"), deliver=people)
    assert [told.failure for told in await notifier.send([RAISED])] == ["down", ""]
    people.failures = ()
    assert [told.failure for told in await notifier.send([CLEARED])] == ["", ""]
    assert people.addresses == ["a://1", "b://2"]


async def test_whatever_a_channel_or_a_hook_raises_nobody_else_is_harmed(caplog: pytest.LogCaptureFixture) -> None:
    async def deliver(text: Message, addresses: Sequence[Secret], deadline: float) -> list[str]:
        raise OSError(f"cannot reach {addresses[0].reveal()}")

    async def hook(alarm: Alarm) -> None:
        raise RuntimeError("a bad hook")

    (told,) = await Notifier(config(f"json://{CANARY}/"), hook=hook, deliver=deliver).send([RAISED])
    assert told.failure == "it could not be sent (OSError)"
    assert "a bad hook" in "".join(LineFormatter().format(record) for record in caplog.records)
    assert CANARY not in "".join(LineFormatter().format(record) for record in caplog.records)


async def test_a_stop_goes_through() -> None:
    async def deliver(text: Message, addresses: Sequence[Secret], deadline: float) -> list[str]:
        await asyncio.sleep(3600)
        return []

    task = asyncio.create_task(Notifier(config("a://1"), deliver=deliver).send([RAISED]))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_without_apprise_an_address_is_refused_and_no_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "apprise", raising=False)
    with pytest.raises(ConfigError, match=r'pip install "blinkarchive\[notify\]"'):
        Notifier(config("json://x/"))
    Notifier(AlarmConfig())


async def test_apprise_is_not_loaded_into_this_process() -> None:
    await by_apprise(message([RAISED]), [Secret("nosuch://x")], 30)
    assert "apprise" not in sys.modules


# -- real Apprise


class Webhook:
    """A web server that a person's phone stands for."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.authorizations: list[str] = []
        self.port = 0
        self.status = 200
        self.release = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.heard.append(await request.json())
        self.authorizations.append(request.headers.get("Authorization", ""))
        if request.path == "/hang":
            await self.release.wait()
        return web.Response(status=500 if request.path == "/broken" else self.status)

    def url(self, path: str = "", user: str = "") -> str:
        return f"json://{user}127.0.0.1:{self.port}/{path}"


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    hook = Webhook()
    app = web.Application()
    app.router.add_post("/{path:.*}", hook.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    yield hook
    hook.release.set()
    await runner.cleanup()


async def test_a_real_message_arrives_as_it_was_written(webhook: Webhook) -> None:
    told = await Notifier(config(webhook.url())).send([RAISED])
    assert told == (Told(channel="alarm 1 (the config itself)"),)
    (heard,) = webhook.heard
    assert heard["title"] == "blinkarchive: sink nas"
    assert heard["message"] == "its marker is missing\nsince 2026-03-01 08:34 UTC"
    assert heard["type"] == "warning"


async def test_neither_a_proxy_of_the_environment_nor_netrc_is_used(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, clean_environment: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://me:{CANARY}@127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    netrc = clean_environment / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {CANARY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    told = await Notifier(config(webhook.url())).send([RAISED])
    assert [one.failure for one in told] == [""]
    assert webhook.authorizations == [""]


async def test_a_proxy_of_the_config_is_used_and_one_that_is_none_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    through = inline(f"http://me:{CANARY}@127.0.0.1:{server.sockets[0].getsockname()[1]}")
    alarm = AlarmConfig(notify=(inline("json://nowhere.example.org/hook"),), proxy=through)
    assert [one.failure for one in await Notifier(alarm).send([RAISED])] == [""]
    assert heard[0].startswith(b"POST http://nowhere.example.org/hook ")
    assert base64.b64encode(f"me:{CANARY}".encode()) in heard[0]
    server.close()
    await server.wait_closed()
    (told,) = await Notifier(AlarmConfig(notify=alarm.notify, proxy=inline(CANARY))).send([RAISED])
    assert "[alarm] proxy" in told.failure
    assert CANARY not in told.failure + caplog.text


async def test_the_process_that_sends_inherits_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "https_proxy", "GITHUB_TOKEN", "BLINK_PASSWORD"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    spy, kept = tmp_path / "spy.py", tmp_path / "kept"
    spy.write_text(f"import os, pathlib; pathlib.Path({str(kept)!r}).write_text(repr(dict(os.environ)))")
    monkeypatch.setattr(apprise_child, "__file__", str(spy))
    await by_apprise(message([RAISED]), [Secret("json://x/")], 30)
    assert CANARY not in kept.read_text()
    assert "'LC_ALL': 'C.UTF-8'" in kept.read_text()
    assert "'HOME'" in kept.read_text()


async def test_channels_that_fail_or_hang_are_told_apart_and_hold_up_no_other(
    webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"json://{CANARY}:{CANARY}@127.0.0.1:{unused.getsockname()[1]}/{CANARY}"
    addresses = [
        webhook.url("broken", f"user:{CANARY}@"),
        closed,
        f"nosuch://{CANARY}",
        f"json://{CANARY}@",
        webhook.url("hang", f"user:{CANARY}@"),
        webhook.url("good", f"user:{CANARY}@"),
    ]
    for deadline in (3, 6, 12, 24):  # a busy machine needs a while to load Apprise
        caplog.clear()
        webhook.heard.clear()
        began = time.monotonic()
        told = await Notifier(config(*addresses), deadline=deadline).send([RAISED])
        assert time.monotonic() - began < deadline + 5
        if not told[-1].failure:
            break
    undelivered, unknown = (
        "it was not delivered; the command `apprise -vv` with this address says why",
        "Apprise knows no such address",
    )
    assert [one.failure for one in told] == [
        undelivered, undelivered, unknown, unknown, f"there was no answer within {deadline} s", "",
    ]  # fmt: skip
    assert len(webhook.heard) == 3
    logged = "\n".join(LineFormatter().format(record) for record in caplog.records)
    assert logged.count("an alarm reached nobody there") == 5
    assert CANARY not in logged
    assert CANARY not in repr(told)


async def test_the_process_that_sent_is_gone_after_the_deadline_and_after_a_stop(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[asyncio.subprocess.Process] = []
    real = asyncio.create_subprocess_exec

    async def spying(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        children.append(await real(*arguments, **options))
        return children[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spying)
    await by_apprise(message([RAISED]), [Secret(webhook.url("hang"))], 0.5)
    task = asyncio.create_task(by_apprise(message([RAISED]), [Secret(webhook.url("hang"))], 30))
    while len(children) < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)


async def test_a_sender_that_dies_is_a_failure_of_its_channels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit(1)")
    monkeypatch.setattr(apprise_child, "__file__", str(broken))
    assert await by_apprise(message([RAISED]), [Secret("json://x/")] * 2, 30) == ["Apprise ended without a word"] * 2


async def test_an_address_is_on_no_command_line(webhook: Webhook) -> None:
    task = asyncio.create_task(by_apprise(message([RAISED]), [Secret(webhook.url("hang", f"user:{CANARY}@"))], 30))
    while not webhook.heard:
        await asyncio.sleep(0.02)
    lines = b""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            lines += (entry / "cmdline").read_bytes()
    assert b"apprise_child" in lines
    assert CANARY.encode() not in lines
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (True, apprise_child.DELIVERED),
        (False, apprise_child.UNDELIVERED),
        (None, apprise_child.UNDELIVERED),
        ([1], apprise_child.DELIVERED),
        ([], apprise_child.UNDELIVERED),
    ],
)
def test_apprise_may_answer_with_a_truth_or_with_an_object(monkeypatch: pytest.MonkeyPatch, answer: object, outcome: str) -> None:
    class Old:
        AppriseAsset = staticmethod(lambda **_: None)

        class Apprise(list[str]):
            def __init__(self, asset: object) -> None:
                super().__init__()

            def add(self, address: str) -> bool:
                self.append(address)
                return True

            def notify(self, **_: object) -> object:
                return answer

    monkeypatch.setitem(sys.modules, "apprise", Old)
    assert apprise_child.outcome("json://x/", "t", "b", "info") == outcome
