"""Blink's limits: who is refused waits longer each time, and a limit on sign-ins outlives every process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from blinkarchive.blink.client import Client
from blinkarchive.blink.holds import Holds
from blinkarchive.clock import ManualClock
from blinkarchive.errors import LoginHeldBack, LoginLimit, SourceError, Throttled
from blinkarchive.retry import Patience, retry
from tests.blink.cloud import CHANGED, CLIP, Cloud, Reply, as_json
from tests.blink.conftest import OWNER, PASSWORD, Opener
from tests.blink.test_session import HOUR, SINCE, fetch

LIMIT = "Login limit exceeded. Please disable any 3rd party automation and try again in 60 minutes."
SLOW_DOWN = as_json({"message": "Too Many Requests"}, 429)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (as_json({"message": LIMIT}, 429), 3600),
        (as_json({"message": LIMIT.replace("60 minutes", "2 hours")}, 429), 7200),
        (as_json({"message": "slow down"}, 429, Retry_After="5400"), 5400),
        (as_json({"message": "Forbidden"}, 403), 3600),
        (Reply(status=429), 3600),
    ],
)
async def test_a_limit_on_the_refresh_holds_for_the_stated_time_whoever_starts_again(
    said: Reply, seconds: int, opened: Opener, signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    await signed_in.account_id()
    clock.advance(14400)
    fine, cloud.routes["POST /oauth/token"] = cloud.routes["POST /oauth/token"], said

    for _ in range(seconds // 60):  # a restart each minute, as a service manager does it
        async with opened() as blink:
            with pytest.raises(Throttled, match="do not sign in again") as caught:
                await retry(blink.ensure_signed_in, clock=clock, patience=Patience())
            assert 0 < (caught.value.retry_after or 0) <= seconds + 60
        clock.advance(60 - 0.001)
    assert cloud.refreshes == 1
    assert cloud.sign_ins == 1, "the sign-in may be good: it is no reason for the password"

    cloud.routes["POST /oauth/token"] = fine
    clock.advance(61)
    async with opened() as blink:
        assert await fetch(blink) == b"the bytes of a clip"
    assert cloud.refreshes == 2


async def test_a_token_in_force_is_used_during_a_limit_on_the_refresh(
    signed_in: Client, cloud: Cloud, clock: ManualClock, token_file: Path
) -> None:
    await signed_in.account_id()
    clock.advance(14400 - 299)
    cloud.routes["POST /oauth/token"] = as_json({"message": LIMIT}, 429)
    for _ in range(4):
        assert await fetch(signed_in) == b"the bytes of a clip"
        clock.advance(61)
    assert cloud.refreshes == 1
    assert Holds(token_file, clock=clock).login() is not None


async def test_a_limit_on_sign_ins_holds_back_the_unattended_ones_for_its_time(
    opened: Opener, cloud: Cloud, clock: ManualClock
) -> None:
    cloud.routes["POST /oauth/v2/signin"] = as_json({"message": "Login limit exceeded.", "x": 1}, 429, Retry_After="86400")
    async with opened() as blink:
        with pytest.raises(LoginLimit):
            await blink.ensure_signed_in(OWNER, PASSWORD)
    for _ in range(23):
        clock.advance(HOUR)
        async with opened() as blink:
            with pytest.raises(LoginHeldBack, match="No tokens are requested before"):
                await blink.ensure_signed_in(OWNER, PASSWORD)
    assert cloud.sign_ins == 1


async def test_a_person_who_signs_in_ends_the_hold(opened: Opener, signed_in: Client, cloud: Cloud, clock: ManualClock) -> None:
    clock.advance(14400)
    fine, cloud.routes["POST /oauth/token"] = cloud.routes["POST /oauth/token"], SLOW_DOWN
    with pytest.raises(Throttled):
        await signed_in.account_id()
    cloud.routes["POST /oauth/token"] = fine
    async with opened() as blink:
        await blink.sign_in(OWNER, PASSWORD)
        clock.advance(14400)
        assert await fetch(blink) == b"the bytes of a clip"


async def test_who_refuses_without_a_stated_time_is_asked_twice_and_then_after_minutes(
    opened: Opener, signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    await signed_in.account_id()
    cloud.routes[CHANGED] = SLOW_DOWN
    began, waits = clock.monotonic(), []

    async def run() -> None:
        async with opened() as blink:
            with pytest.raises(Throttled) as caught:
                await retry(lambda: blink.media_page(SINCE, 1), clock=clock, patience=Patience())
            waits.append(caught.value.retry_after or 0)

    await run()
    assert len(cloud.to(CHANGED)) == 2
    assert clock.monotonic() - began < 10
    await run()
    assert len(cloud.to(CHANGED)) == 2, "another process knows of the pause"
    for _ in range(8):
        clock.advance(waits[-1] + 1)
        await run()
    assert len(cloud.to(CHANGED)) == 10
    assert 120 <= waits[0] <= 180
    assert 240 <= waits[2] <= 300
    assert max(waits) <= 3600

    cloud.routes[CHANGED] = cloud.guarded(as_json({"limit": 25, "media": []}))
    clock.advance(3601)
    async with opened() as blink:
        await blink.media_page(SINCE, 1)
    cloud.routes[CHANGED] = SLOW_DOWN
    await run()
    assert 120 <= waits[-1] <= 180, "what was accepted in between begins the count again"


async def test_refusals_of_requests_under_way_are_one_refusal(signed_in: Client, cloud: Cloud, clock: ManualClock) -> None:
    await signed_in.account_id()
    cloud.routes[CLIP] = SLOW_DOWN
    ends = await asyncio.gather(*(fetch(signed_in) for _ in range(16)), return_exceptions=True)
    assert {type(end) for end in ends} == {Throttled}
    assert all(isinstance(end, SourceError) and (end.retry_after or 0) <= 10 for end in ends)
    cloud.routes[CLIP] = cloud.guarded(Reply(body=b"the bytes of a clip"))
    assert await fetch(signed_in) == b"the bytes of a clip"


async def test_a_refusal_under_way_that_states_more_makes_the_pause_longer(tmp_path: Path, clock: ManualClock) -> None:
    holds = Holds(tmp_path / "home.json", clock=clock)
    await holds.refused("the clip", Throttled("slow down"))
    await holds.refused("the clip", Throttled("slow down, and try again in 30 minutes"))
    await holds.refused("the clip", Throttled("slow down"))
    hold = holds.requests()
    assert hold is not None
    assert (hold.seconds, hold.refusals) == (1800, 1)


async def test_a_hold_counts_for_every_request_of_the_account(signed_in: Client, cloud: Cloud, clock: ManualClock) -> None:
    await signed_in.account_id()
    cloud.routes[CHANGED] = as_json({"message": "slow down"}, 429, Retry_After="1800")
    with pytest.raises(Throttled):
        await signed_in.media_page(SINCE, 1)
    for _ in range(20):
        with pytest.raises(Throttled, match="not sent"):
            await fetch(signed_in)
    assert cloud.to(CLIP) == []
    clock.advance(1801)
    assert await fetch(signed_in) == b"the bytes of a clip"


@pytest.mark.parametrize("damage", [b"", b"x", b"[]", b'{"login": {"at": "2026-07-01T00:00:00", "seconds": 1}}'])
async def test_a_damaged_note_is_a_limit_of_an_hour(damage: bytes, tmp_path: Path, clock: ManualClock) -> None:
    note = tmp_path / "home.hold.json"
    note.write_bytes(damage)
    note.chmod(0o600)
    at = ManualClock(clock.now())
    import os

    os.utime(note, (at.now().timestamp(), at.now().timestamp()))
    holds = Holds(tmp_path / "home.json", clock=at)
    with pytest.raises(Throttled, match="damaged"):
        holds.check_login()
    at.advance(HOUR)
    holds.check_login()


async def test_a_note_of_a_clock_that_was_ahead_holds_nothing_for_ever(tmp_path: Path, clock: ManualClock) -> None:
    ahead = ManualClock(clock.now().replace(year=2038))
    await Holds(tmp_path / "home.json", clock=ahead).refused("login", SourceError(LIMIT))
    assert Holds(tmp_path / "home.json", clock=ahead).login() is not None
    assert Holds(tmp_path / "home.json", clock=clock).login() is None
