"""Signing in as scripts and people do it: questions, a dict, a file, a code; and going on from there for months."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import gc
import getpass
import json
import os
import pty
import stat
import subprocess
import sys
import uuid
import warnings
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest

from blinkarchive.blink import Auth, Blink, BlinkTwoFARequiredError, LoginError, json_load, json_save
from blinkarchive.clock import ManualClock
from blinkarchive.errors import (
    ConfigError,
    LoginHeldBack,
    LoginLimit,
    LoginNeeded,
    NotSignedIn,
    TokenRevoked,
    Unreachable,
    WrongCode,
    WrongPassword,
)
from blinkarchive.simulator import Running, World
from tests.library.conftest import Signing, served_beside


def sign_ins(cloud: Running) -> list[int | None]:
    """How each password that came was answered."""
    return [exchange.status for exchange in cloud.seen("POST", "/oauth/v2/signin")]


class Person:
    """Somebody at the terminal, with answers ready. Gives the questions they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)
        monkeypatch.setattr(builtins, "input", self._answer)
        monkeypatch.setattr(getpass, "getpass", lambda question: self._answer(f"(hidden) {question}"))

    def _answer(self, question: str) -> str:
        self.asked.append(question)
        if not self._answers:
            raise EOFError
        return self._answers.pop(0)


# With prompts


async def test_a_person_is_asked_for_what_is_missing(signing: Signing, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    person = Person(monkeypatch, world.account.username, world.account.password, " 123456 ")
    blink = Blink(auth=signing({}, no_prompt=False))
    assert await blink.start()
    assert person.asked == ["Username: ", "(hidden) Password: ", "Code that Blink has sent: "]
    assert (blink.key_required, blink.available, len(blink.cameras)) == (False, True, 7)


async def test_what_is_known_is_not_asked_for(signing: Signing, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.account.second_factor = "none"
    person = Person(monkeypatch, world.account.password)
    assert await Blink(auth=signing({"username": world.account.username}, no_prompt=False)).start()
    assert person.asked == ["(hidden) Password: "]


async def test_a_code_may_be_mistyped_twice(
    signing: Signing, world: World, cloud: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    Person(monkeypatch, "111111", "222222", world.account.code)
    assert await Blink(auth=signing(no_prompt=False)).start()
    assert sign_ins(cloud) == [202]
    Person(monkeypatch, "1", "2", "3", world.account.code)
    with pytest.raises(WrongCode):
        await Blink(auth=signing(no_prompt=False)).start()


async def test_a_password_that_was_wrong_is_asked_for_again_and_not_tried_again(
    signing: Signing, world: World, cloud: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blink locks accounts after a few wrong ones."""
    Person(monkeypatch, "mistyped", world.account.password, world.account.code)
    blink = Blink(auth=signing({"username": world.account.username}, no_prompt=False))
    with pytest.raises(WrongPassword):
        await blink.start()
    assert sign_ins(cloud) == [401]
    assert await blink.start()


async def test_where_nobody_answers_that_is_said(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    Person(monkeypatch)
    with pytest.raises(LoginNeeded, match="nobody answers 'Username'"):
        await Blink(auth=signing({}, no_prompt=False)).start()


async def test_the_event_loop_goes_on_while_a_person_thinks(
    signing: Signing, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def think(_: str) -> str:
        loop.call_soon_threadsafe(asked.set)
        asyncio.run_coroutine_threadsafe(may_answer.wait(), loop).result()
        return world.account.code

    monkeypatch.setattr(builtins, "input", think)
    starting = asyncio.create_task(Blink(auth=signing(no_prompt=False)).start())
    await asked.wait()
    may_answer.set()
    assert await starting


STARTING = """
import asyncio
from aiohttp import ClientSession
from blinkarchive.blink import Blink

async def start():
    async with ClientSession() as session:
        blink = Blink(session=session)
        await blink.start()
        return sorted(blink.cameras)

print(asyncio.run(start()))
"""


def test_a_real_terminal_shows_no_password(world: World) -> None:
    with served_beside(world) as cloud:
        ours, theirs = pty.openpty()
        environment = {**os.environ, "BLINKARCHIVE_API_URL": cloud.url, "BLINKARCHIVE_OAUTH_URL": cloud.url}
        program = subprocess.Popen(
            [sys.executable, "-c", STARTING],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        shown = ""
        answers = {"Username: ": world.account.username, "Password: ": world.account.password, "has sent: ": world.account.code}
        with contextlib.suppress(OSError), program:  # the terminal's end is an error on Linux
            while data := os.read(ours, 1000):
                shown += data.decode()
                for question in [question for question in answers if shown.endswith(question)]:
                    os.write(ours, f"{answers.pop(question)}\n".encode())
        os.close(ours)
    assert program.returncode == 0, shown
    assert "'Front Door (Barn)'" in shown
    assert world.account.password not in shown


# Without a prompt


async def test_without_a_prompt_a_code_is_waited_for_elsewhere(signing: Signing, world: World, cloud: Running) -> None:
    blink = Blink()
    auth = signing()
    blink.auth = auth
    assert await blink.start() is False
    assert (blink.key_required, blink.available) == (True, False)
    assert "42" in auth.code_wanted()

    assert await auth.send_auth_key(blink, "000000") is False
    assert blink.key_required
    assert await auth.send_auth_key(blink, int(world.account.code))
    assert not blink.key_required
    assert await blink.setup_post_verify()
    assert len(blink.cameras) == 7
    assert sign_ins(cloud) == [202]


async def test_the_sign_in_alone_says_by_an_error_that_a_code_is_wanted(signing: Signing, world: World) -> None:
    blink = Blink(auth=signing())
    with pytest.raises(BlinkTwoFARequiredError, match=r"42.*give it to `send_auth_key`"):
        await blink.auth.startup()
    assert await blink.send_2fa_code(world.account.code)
    assert blink.available


async def test_a_code_that_nobody_waits_for_is_an_error(signing: Signing) -> None:
    with pytest.raises(LoginNeeded, match="no sign-in waits"):
        await signing().complete_2fa_login("123456")


async def test_who_starts_again_and_again_sends_one_password_an_hour(
    signing: Signing, world: World, cloud: Running, clock: ManualClock
) -> None:
    """Neither a code that does not come nor a password that is wrong locks the account."""
    blink = Blink(auth=signing())
    for _ in range(5):
        assert await blink.start() is False
    assert sign_ins(cloud) == [202]
    clock.advance(3601)
    assert await blink.start() is False  # the first code is worth nothing any more: another one is sent
    assert sign_ins(cloud) == [202, 202]

    wrong = Blink(auth=signing({"username": world.account.username, "password": "wrong"}))
    with pytest.raises(WrongPassword):
        await wrong.start()
    for _ in range(3):
        with pytest.raises(LoginHeldBack):
            await wrong.start()
        with pytest.raises(LoginHeldBack):
            await wrong.auth.refresh_tokens(refresh=False)
    assert sign_ins(cloud) == [202, 202, 401]


async def test_a_lock_out_has_a_name_and_says_how_long(signing: Signing, world: World) -> None:
    world.faults.add("signin.status", status=429, retry_after=3600)
    with pytest.raises(LoginLimit, match="60 minutes") as locked:
        await Blink(auth=signing()).start()
    assert (locked.value.status, locked.value.retry_after) == (429, 3600.0)
    assert isinstance(locked.value, LoginError)


async def test_without_credentials_and_prompt_nothing_is_sent(signing: Signing, cloud: Running) -> None:
    for given in ({}, {"username": "owner@example.org"}, {"username": None, "password": None}):
        with pytest.raises(LoginError):
            await Blink(auth=signing(given)).start()
    assert list(cloud.log) == []


# Credentials that are kept


async def saved(blink: Blink, file: Path) -> dict[str, Any]:
    await blink.save(file)
    return await json_load(file)


@pytest.mark.parametrize("rotation", ["strict", "lenient"])
async def test_a_saved_sign_in_goes_on_without_a_new_one_for_ever(
    signing: Signing,
    world: World,
    cloud: Running,
    clock: ManualClock,
    tmp_path: Path,
    blink: Blink,
    rotation: Literal["strict", "lenient"],
) -> None:
    world.rules.refresh = rotation
    device = blink.auth.hardware_id
    file = tmp_path / "blink.json"
    await blink.save(file)
    for _ in range(4):
        clock.advance(24 * 3600)
        renewed: list[str | None] = []
        auth = signing(await json_load(file))
        auth.callback = lambda auth=auth, renewed=renewed: renewed.append(auth.token)
        house = Blink(auth=auth)
        assert await house.start()
        assert (renewed, auth.hardware_id, len(house.cameras)) == ([auth.token], device, 7)
        await house.save(file)
    assert sign_ins(cloud) == [302]


async def test_tokens_that_are_renewed_can_be_saved_at_once(
    signing: Signing, world: World, clock: ManualClock, tmp_path: Path, blink: Blink
) -> None:
    """A coroutine function is awaited, at the latest when the client is closed."""
    world.rules.refresh = "strict"
    file = tmp_path / "blink.json"
    house = Blink(auth=signing(blink.auth.login_attributes))
    house.auth.callback = lambda: house.save(file)
    clock.advance(5 * 3600)
    assert await house.start()
    assert (await json_load(file))["refresh_token"] == house.auth.refresh_token

    house.auth.callback = lambda: house.save(tmp_path / "missing" / "blink.json")
    clock.advance(5 * 3600)
    with pytest.raises(ConfigError, match="cannot be written"):
        await house.refresh()
    assert await house.refresh(force=True)


async def test_what_is_saved_has_blinkpys_keys(blink: Blink, world: World, clock: ManualClock, tmp_path: Path) -> None:
    kept = await saved(blink, tmp_path / "blink.json")
    assert kept == {
        "username": "owner@example.org",
        "token": blink.auth.token,
        "expires_in": 14400,
        "expiration_date": clock.now().timestamp() + 14400,
        "refresh_token": blink.auth.refresh_token,
        "host": "u011.immedia-semi.com",
        "region_id": "u011",
        "account_id": world.account.id,
        "hardware_id": blink.auth.hardware_id,
        "client_id": blink.client_id,
        "user_id": None,
    }
    assert blink.client_id
    assert stat.S_IMODE((tmp_path / "blink.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"hardware_id": "Home Assistant", "uid": "BlinkCamera_1", "device_id": "Blinkpy"},
        {"account_id": "116000", "region_id": None, "host": None, "client_id": 5, "expires_in": "soon"},
        {"expiration_date": None},
        {"region_id": "../../evil"},
        {"expiration_date": 1e300},
        {"region_id": "../../evil", "host": "evil.example.org", "account_id": -1},
        {"2fa_code": "1", "notification_key": [1, {"a": None}], "password": None},
    ],
)
async def test_credentials_with_odd_keys_are_good_for_what_can_be_used_of_them(
    signing: Signing, blink: Blink, cloud: Running, tmp_path: Path, odd: dict[str, Any]
) -> None:
    kept = {**await saved(blink, tmp_path / "blink.json"), **odd}
    house = Blink(auth=signing(kept))
    assert await house.start()
    assert house.account_id == blink.account_id
    assert sign_ins(cloud) == [302]
    again = await saved(house, tmp_path / "again.json")
    assert (again["region_id"], again["account_id"]) == ("u011", blink.account_id)
    assert str(uuid.UUID(again["hardware_id"])) == again["hardware_id"].lower()
    assert "2fa_code" not in again
    assert "password" not in again


@pytest.mark.parametrize("key", ["token", "refresh_token"])
async def test_one_token_of_the_two_is_enough_for_now(
    signing: Signing, blink: Blink, clock: ManualClock, tmp_path: Path, key: str
) -> None:
    kept = await saved(blink, tmp_path / "blink.json")
    del kept[key]
    house = Blink(auth=signing(kept))
    assert await house.start()
    clock.advance(5 * 3600)
    if key == "token":
        assert await house.refresh()
    else:
        with pytest.raises(TokenRevoked, match="cannot be refreshed"):
            await house.refresh()


async def test_a_sign_in_that_was_ended_meanwhile_is_followed_by_one_with_the_password(
    signing: Signing, blink: Blink, world: World, cloud: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokens look good until they are used."""
    kept = await saved(blink, tmp_path / "blink.json")
    world.signins.revoke_access_tokens()
    world.signins.revoke_refresh_tokens()
    with pytest.raises(LoginNeeded):
        await Blink(auth=signing(kept)).start()
    assert await Blink(auth=signing({**kept, "password": world.account.password})).start()
    assert sign_ins(cloud) == [302, 302]

    world.signins.revoke_access_tokens()
    world.signins.revoke_refresh_tokens()
    del kept["refresh_token"]
    person = Person(monkeypatch, world.account.password)
    assert await Blink(auth=signing(kept, no_prompt=False)).start()
    assert person.asked == ["(hidden) Password: "]


async def test_tokens_are_renewed_when_that_is_asked_for(
    signing: Signing, blink: Blink, world: World, cloud: Running, clock: ManualClock
) -> None:
    first = blink.auth.token
    assert await blink.auth.refresh_tokens()
    second = blink.auth.token
    assert first != second
    clock.advance(3601)
    assert await blink.auth.refresh_tokens(refresh=False)
    assert blink.auth.token not in (first, second)
    assert sign_ins(cloud) == [302, 302]
    assert await blink.refresh(force=True)


async def test_while_blink_cannot_be_asked_a_sign_in_stays_as_good_as_it_was(
    signing: Signing, blink: Blink, world: World, cloud: Running, clock: ManualClock, tmp_path: Path
) -> None:
    kept = await saved(blink, tmp_path / "blink.json")
    clock.advance(5 * 3600)
    world.faults.add("token.drop", times=0)
    auth = signing({**kept, "password": world.account.password})
    with pytest.raises(Unreachable):
        await Blink(auth=auth).start()
    assert auth.refresh_token == kept["refresh_token"]
    world.faults.clear()
    assert await Blink(auth=auth).start()
    assert sign_ins(cloud) == [302]


async def test_who_has_signed_out_keeps_no_tokens(signing: Signing, blink: Blink, cloud: Running, tmp_path: Path) -> None:
    house = Blink(auth=signing(await saved(blink, tmp_path / "blink.json")))
    await house.start()
    assert await house.auth.logout(house)
    kept = await saved(house, tmp_path / "blink.json")
    assert [kept.get(key) for key in ("token", "refresh_token", "expiration_date")] == [None] * 3
    assert (house.auth.tokens, house.auth.header) == (None, None)
    assert [exchange.status for exchange in cloud.seen("POST", "/logout")] == [200]


@pytest.mark.parametrize("text", [None, "", "[]", "not json", '"text"', "\xff"])
async def test_a_file_that_holds_no_credentials_is_an_error_that_names_it(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "blink.json"
    if text is not None:
        file.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"blink\.json"):
        await json_load(file)


async def test_credentials_that_cannot_be_kept_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        await json_save({}, tmp_path / "missing" / "blink.json")
    with pytest.raises(ConfigError, match="no JSON"):
        Auth({"username": object()})


def test_tokens_are_sent_to_trusted_servers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("http://example.org", "ftp://127.0.0.1", "https://user@example.org", "https://example.org/path"):
        with pytest.raises(ConfigError, match="api_url"):
            Auth(api_url=url)
    monkeypatch.setenv("BLINKARCHIVE_OAUTH_URL", "https://oauth.example.org")
    assert str(Auth().servers.oauth) == "https://oauth.example.org"


def test_what_is_shown_of_a_sign_in_is_no_secret() -> None:
    auth = Auth({"username": "u", "password": "open-sesame", "token": "t0ken", "refresh_token": "r0tates"})
    assert not [secret for secret in ("open-sesame", "t0ken", "r0tates") if secret in f"{auth!r} {auth.tokens!r}"]


# Sessions and event loops


async def test_a_session_that_was_given_is_used_and_left_open(signing: Signing, world: World) -> None:
    world.account.second_factor = "none"
    used: list[str] = []
    trace = aiohttp.TraceConfig()

    async def note(_: object, __: object, started: aiohttp.TraceRequestStartParams) -> None:
        used.append(started.url.path)

    trace.on_request_start.append(note)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        blink = Blink(session=session)
        blink.auth = signing()
        assert await blink.start()
        async with blink:
            await blink.refresh(force=True)
        assert not session.closed
        assert blink.auth.session is session
    assert used.count(f"/api/v3/accounts/{world.account.id}/homescreen") == 2


async def test_a_session_with_headers_and_cookies_of_its_own_signs_in_all_the_same(signing: Signing, world: World) -> None:
    """Home Assistant shares one session among all of its integrations."""
    async with aiohttp.ClientSession(headers={"X-Mine": "1"}, cookies={"mine": "1"}, timeout=aiohttp.ClientTimeout(5)) as session:
        auth = signing(session=session)
        with pytest.raises(BlinkTwoFARequiredError):
            await auth.startup()
        assert await auth.complete_2fa_login(world.account.code)


def test_a_code_may_come_when_the_first_event_loop_has_ended(world: World) -> None:
    with served_beside(world) as cloud:
        login = {"username": world.account.username, "password": world.account.password}
        auth = Auth(login, no_prompt=True, api_url=cloud.url, oauth_url=cloud.url)
        blink = Blink(auth=auth)
        assert asyncio.run(blink.start()) is False
        assert asyncio.run(auth.send_auth_key(blink, world.account.code))
        assert asyncio.run(blink.setup_post_verify())


def unclosed(caught: Iterable[warnings.WarningMessage]) -> list[str]:
    return [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)]


def test_every_session_of_ours_is_closed_and_none_is_taken_into_another_event_loop(world: World) -> None:
    world.account.second_factor = "none"
    with served_beside(world) as cloud, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        login = {"username": world.account.username, "password": world.account.password}
        blink = Blink(auth=Auth(login, no_prompt=True, api_url=cloud.url, oauth_url=cloud.url))
        for ask in (blink.start, lambda: blink.refresh(force=True), blink.get_status, lambda: blink.refresh(force=True)):
            assert asyncio.run(ask())

        async def hold() -> bool:
            async with blink:
                return await blink.refresh(force=True)

        assert asyncio.run(hold())
        assert asyncio.run(hold())
        gc.collect()
    assert unclosed(caught) == []
    assert sign_ins(cloud) == [302]


def test_a_session_of_an_event_loop_that_has_ended_is_not_used_in_the_next(world: World) -> None:
    """The first lines of many scripts: start in one `asyncio.run`, and go on in others."""
    world.account.second_factor = "none"
    with served_beside(world) as cloud:

        async def start() -> Blink:
            async with aiohttp.ClientSession() as session:
                blink = Blink(session=session)
                blink.auth = Auth(
                    {"username": world.account.username, "password": world.account.password},
                    no_prompt=True,
                    api_url=cloud.url,
                    oauth_url=cloud.url,
                )
                await blink.start()
                return blink

        blink = asyncio.run(start())
        assert blink.available
        assert asyncio.run(blink.refresh(force=True))


async def test_within_its_block_a_house_keeps_one_connection(signing: Signing, world: World) -> None:
    world.account.second_factor = "none"
    async with Blink(auth=signing()) as blink, blink.auth.opened() as first:
        await blink.start()
        async with blink.auth.opened() as second:
            assert first is second
    async with blink.auth.opened() as third:
        assert third is not first


async def test_nobody_is_signed_in_before_they_have_signed_in(signing: Signing) -> None:
    auth = signing({})
    assert (auth.token, auth.refresh_token, auth.expiration_date, auth.host, auth.account_id) == (None,) * 5
    with pytest.raises(NotSignedIn):
        await Blink(auth=auth).refresh()


async def test_what_is_known_of_a_sign_in(blink: Blink, world: World, clock: ManualClock) -> None:
    auth = blink.auth
    assert auth.header == {"Authorization": f"Bearer {auth.token}", "Content-Type": "application/json"}
    assert auth.expiration_date == (clock.now() + timedelta(hours=4)).timestamp()
    assert (auth.region_id, auth.host, blink.account_id) == ("u011", "u011.immedia-semi.com", world.account.id)
    assert json.dumps(auth.login_attributes)
    assert auth.code_wanted() == ""
