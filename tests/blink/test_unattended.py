"""How a run is signed in while nobody is there: what is waited for, when the password is read, and what is asked of Blink."""

from __future__ import annotations

from pathlib import Path

import pytest

from blinkarchive.blink.client import Client
from blinkarchive.clock import ManualClock
from blinkarchive.config import AccountConfig
from blinkarchive.convert import SecretRef
from blinkarchive.errors import ConfigError, LoginLimit, LoginNeeded, NotSignedIn, ServerTrouble, Throttled, TokenRevoked
from blinkarchive.retry import Patience
from blinkarchive.wiring.signing_in import _signed_in
from tests.blink.cloud import Cloud, Reply, Seen, as_json
from tests.blink.conftest import OWNER, PASSWORD, Opener

KEPT = SecretRef(kind="inline", inline=PASSWORD)
UNREADABLE = SecretRef(kind="file", at="/")  # a folder is no file


async def sign_in(blink: Client, clock: ManualClock, password: SecretRef | None = KEPT) -> None:
    account = AccountConfig(name="home", username=OWNER, password=password)
    await _signed_in(blink, account, clock=clock, patience=Patience())


async def test_a_first_run_signs_in_by_the_password_and_the_next_by_what_it_kept(
    opened: Opener, cloud: Cloud, clock: ManualClock
) -> None:
    async with opened() as blink:
        await sign_in(blink, clock)
    async with opened() as blink:
        await sign_in(blink, clock, UNREADABLE)
    assert cloud.sign_ins == 1


async def test_without_a_password_a_person_has_to_sign_in(blink: Client, cloud: Cloud, clock: ManualClock) -> None:
    with pytest.raises(NotSignedIn):
        await sign_in(blink, clock, None)
    assert cloud.seen == []


async def test_a_password_that_is_needed_and_cannot_be_read_is_told(blink: Client, clock: ManualClock) -> None:
    with pytest.raises(ConfigError):
        await sign_in(blink, clock, UNREADABLE)


async def test_a_revoked_sign_in_is_shown_to_blink_once_in_all_runs(
    opened: Opener, signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    cloud.refresh = "revoked-canary-1"
    clock.advance(14400)
    for _ in range(3):
        async with opened() as blink:
            with pytest.raises(TokenRevoked):
                await sign_in(blink, clock, None)
    assert cloud.refreshes == 1

    async with opened() as blink:
        await sign_in(blink, clock)
    assert (cloud.refreshes, cloud.sign_ins) == (1, 2)


async def test_a_revoked_sign_in_is_shown_once_in_a_run_with_a_password(
    signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    cloud.refresh = "revoked-canary-1"
    clock.advance(14400)
    await sign_in(signed_in, clock)
    assert (cloud.refreshes, cloud.sign_ins) == (1, 2)


async def test_a_passing_fault_of_a_refresh_is_waited_for(signed_in: Client, cloud: Cloud, clock: ManualClock) -> None:
    fine = cloud.routes["POST /oauth/token"]

    def fails_once(request: Seen) -> Reply:
        cloud.routes["POST /oauth/token"] = fine
        return Reply(status=503)

    cloud.routes["POST /oauth/token"] = fails_once
    clock.advance(14400)

    await sign_in(signed_in, clock)

    assert (cloud.refreshes, cloud.sign_ins, len(clock.sleeps)) == (2, 1, 1)


@pytest.mark.parametrize(
    ("said", "kind", "refreshes"),
    [
        (as_json({"message": "Login limit exceeded."}, 429, Retry_After="3600"), Throttled, 1),
        (Reply(status=503), ServerTrouble, 3),
    ],
)
async def test_a_fault_that_stays_is_told_and_is_no_reason_for_the_password(
    said: Reply, kind: type[Exception], refreshes: int, signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    cloud.routes["POST /oauth/token"] = said
    clock.advance(14400)
    with pytest.raises(kind):
        await sign_in(signed_in, clock, UNREADABLE)
    assert (cloud.refreshes, cloud.sign_ins) == (refreshes, 1)


async def test_a_damaged_file_is_no_reason_for_the_password(
    opened: Opener, signed_in: Client, cloud: Cloud, clock: ManualClock, token_file: Path
) -> None:
    token_file.write_bytes(b"damaged")
    async with opened() as blink:
        with pytest.raises(LoginNeeded, match="cannot be read"):
            await sign_in(blink, clock, UNREADABLE)
    assert cloud.sign_ins == 1


@pytest.mark.parametrize(("status", "kind"), [(429, LoginLimit), (503, ServerTrouble)])
async def test_a_sign_in_by_the_password_is_tried_once_whatever_comes_of_it(
    status: int, kind: type[Exception], blink: Client, cloud: Cloud, clock: ManualClock
) -> None:
    cloud.routes["POST /oauth/v2/signin"] = Reply(status=status)
    with pytest.raises(kind):
        await sign_in(blink, clock)
    assert cloud.sign_ins == 1
