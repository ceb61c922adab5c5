"""A signed-in account: tokens refreshed once for all, saved before they are used, and given up only when they are dead."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive.blink.client import Client
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.blink.session import LONG
from blinkarchive.blink.tokens import TokenFile, Tokens
from blinkarchive.clock import Clock, ManualClock
from blinkarchive.errors import (
    ArchiveError,
    ClientRefused,
    CodeNeeded,
    Forbidden,
    LoginHeldBack,
    LoginNeeded,
    OtherAccount,
    ServerTrouble,
    SourceError,
    Throttled,
    TokenRevoked,
    Unauthorized,
    Unreachable,
    UpdateRequired,
    WrongPassword,
)
from blinkarchive.files import Files
from blinkarchive.secret import Secret
from tests.blink.cloud import ACCOUNT, CHANGED, CLIP, TIER, Cloud, Reply, Seen, as_json
from tests.blink.conftest import OWNER, PASSWORD, Opener

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3600.0
BAD_CLIP = "/api/v2/accounts/123456/media/clip/78.mp4"
REFUSED = as_json({"message": "Unauthorized Access", "code": 101}, 401)


async def fetch(blink: Client, address: str = CLIP) -> bytes:
    async with blink.media(address) as body:
        return b"".join([chunk async for chunk in body.chunks])


def on_disk(token_file: Path) -> Tokens:
    tokens = TokenFile(token_file).load()
    assert tokens is not None
    return tokens


async def test_a_token_is_refreshed_five_minutes_before_its_end(signed_in: Client, cloud: Cloud, clock: ManualClock) -> None:
    await signed_in.account_id()
    clock.advance(14400 - 301)
    await fetch(signed_in)
    assert cloud.refreshes == 0

    clock.advance(2)
    await fetch(signed_in)
    assert cloud.refreshes == 1


async def test_a_refresh_names_the_client_and_the_device_of_the_sign_in(
    signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    device = signed_in.tokens.hardware_id
    clock.advance(14400)
    await signed_in.account_id()

    form = cloud.to("/oauth/token")[-1].form
    assert form["client_id"] == "ios"
    assert form["hardware_id"] == device == cloud.to("/oauth/token")[0].form["hardware_id"]


async def test_twenty_requests_that_find_the_token_ended_refresh_it_once(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.access = "another-canary-1"  # what the server accepts now; the client cannot know

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(fetch(signed_in)) for _ in range(20)]

    assert {task.result() for task in running} == {b"the bytes of a clip"}
    assert cloud.refreshes == 1
    assert len(cloud.to(CLIP)) == 40


async def test_twenty_requests_that_cannot_have_a_new_token_ask_for_one_once(
    signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    await signed_in.account_id()
    cloud.routes["POST /oauth/token"] = Reply(status=503)
    clock.advance(14400)

    ends = await asyncio.gather(*(fetch(signed_in) for _ in range(20)), return_exceptions=True)

    assert {type(end) for end in ends} == {ServerTrouble}
    assert cloud.refreshes == 1


async def test_a_long_answer_is_decoded_while_everything_else_goes_on(signed_in: Client, cloud: Cloud) -> None:
    """A page of many megabytes takes seconds to decode on a small machine: a stop must be heard meanwhile."""
    loop_thread, threads = threading.get_ident(), []

    def decode(body: bytes) -> int:
        threads.append(threading.get_ident())
        return len(body)

    for length in (1000, LONG + 1):
        cloud.routes["/api/long"] = Reply(body=b"x" * length, headers=(("Content-Type", "application/json"),))
        assert await signed_in._session.get("/api/long", decode, what="a long answer") == length

    assert [thread == loop_thread for thread in threads] == [True, False]


@pytest.mark.parametrize("number", range(6))
async def test_a_token_may_end_at_any_request(number: int, opened: Opener, cloud: Cloud) -> None:
    count = 0

    def ends(request: Seen) -> None:
        nonlocal count
        if request.target.startswith("/api/"):
            count += 1
            if count == number + 1:
                cloud.access = "ended-canary-1"

    for path in (TIER, CHANGED, CLIP):
        answer = cloud.routes[path]
        assert callable(answer)

        async def ending(request: Seen, answer: object = answer) -> Reply:
            ends(request)
            assert callable(answer)
            reply = await answer(request)
            assert isinstance(reply, Reply)
            return reply

        cloud.routes[path] = ending

    async with opened() as blink:
        await blink.sign_in(OWNER, PASSWORD)
        assert await blink.account_id() == ACCOUNT
        for page in (1, 2):
            await blink.media_page(SINCE, page)
        for _ in range(3):
            assert await fetch(blink) == b"the bytes of a clip"

    assert cloud.refreshes == 1


async def test_a_server_that_refuses_a_new_token_is_asked_no_third_time(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.routes[CHANGED] = REFUSED

    with pytest.raises(LoginNeeded) as caught:
        await signed_in.media_page(SINCE, 1)

    assert isinstance(caught.value.__cause__, Unauthorized)
    assert (len(cloud.to(CHANGED)), cloud.refreshes) == (2, 1)


async def test_a_clip_that_is_refused_to_a_new_token_is_the_only_one_that_fails(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.routes[BAD_CLIP] = REFUSED

    with pytest.raises(Forbidden) as caught:
        await fetch(signed_in, BAD_CLIP)

    assert caught.value.status == 401
    assert isinstance(caught.value.__cause__, Unauthorized)
    assert (len(cloud.to(BAD_CLIP)), cloud.refreshes) == (2, 1)
    assert await fetch(signed_in) == b"the bytes of a clip"
    assert (await signed_in.media_page(SINCE, 1)).items == ()


async def test_many_refused_clips_are_one_refresh_a_minute(signed_in: Client, cloud: Cloud, clock: ManualClock) -> None:
    await signed_in.account_id()
    cloud.routes[BAD_CLIP] = REFUSED

    together = await asyncio.gather(*(fetch(signed_in, BAD_CLIP) for _ in range(10)), return_exceptions=True)
    assert {type(end) for end in together} == {Forbidden}
    for _ in range(5):
        with pytest.raises(Forbidden):
            await fetch(signed_in, BAD_CLIP)
        clock.advance(11)
    assert cloud.refreshes == 1

    clock.advance(6)  # 61 seconds in all: the token may have ended since
    with pytest.raises(Forbidden):
        await fetch(signed_in, BAD_CLIP)
    assert cloud.refreshes == 2


async def test_a_clip_that_was_asked_for_with_the_old_token_is_asked_for_with_the_new_one(
    signed_in: Client, cloud: Cloud
) -> None:
    await signed_in.account_id()
    fine, asked, go_on = cloud.routes[CLIP], asyncio.Event(), asyncio.Event()

    async def slow(request: Seen) -> Reply:
        cloud.routes[CLIP] = fine
        asked.set()
        await go_on.wait()
        return REFUSED

    cloud.routes[CLIP] = slow
    cloud.access = "ended-canary-1"
    waiting = asyncio.create_task(fetch(signed_in))
    await asked.wait()
    await signed_in.media_page(SINCE, 1)
    assert cloud.refreshes == 1
    go_on.set()

    assert await waiting == b"the bytes of a clip"
    assert cloud.refreshes == 1


async def test_a_token_that_ends_a_while_after_its_refresh_is_refreshed_for_a_clip(
    signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    await signed_in.account_id()
    for number in (1, 2):
        cloud.access = f"ended-canary-{number}"
        assert await fetch(signed_in) == b"the bytes of a clip"
        clock.advance(61)
    assert cloud.refreshes == 2


async def test_a_message_of_an_ended_token_counts_whatever_its_status(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    fine = cloud.routes[CLIP]
    cloud.routes[CLIP] = lambda request: cloud_ended(cloud, fine)

    assert await fetch(signed_in) == b"the bytes of a clip"
    assert cloud.refreshes == 1


def cloud_ended(cloud: Cloud, then: object) -> Reply:
    cloud.routes[CLIP] = then  # type: ignore[assignment]  # it was taken from there
    return as_json({"message": "Unauthorized Access", "code": 101})


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (as_json({"error": "x"}, 500), ServerTrouble),
        (Reply(status=406), ClientRefused),
        (Reply(status=403), Throttled),
        (as_json({"message": "Login limit exceeded."}, 429, Retry_After="60"), Throttled),
        (as_json({"error": "invalid_client"}, 400), SourceError),
        (as_json({"message": "An app update is required"}, 426), UpdateRequired),
        (Reply(body=b"<html>"), ServerTrouble),
        (Reply(raw=b""), Unreachable),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"), ServerTrouble),
    ],
)
async def test_a_failed_refresh_keeps_the_token(
    said: Reply, kind: type[SourceError], signed_in: Client, cloud: Cloud, clock: ManualClock, token_file: Path
) -> None:
    await signed_in.account_id()
    kept, fine = on_disk(token_file), cloud.routes["POST /oauth/token"]
    clock.advance(14400)
    cloud.routes["POST /oauth/token"] = said

    with pytest.raises(kind) as caught:
        await fetch(signed_in)
    assert not isinstance(caught.value, LoginNeeded)
    assert on_disk(token_file) == kept
    assert not token_file.with_name("home.json.next").exists()

    cloud.routes["POST /oauth/token"] = fine
    if kind in (Throttled, ClientRefused, UpdateRequired, SourceError):  # then there is a pause first
        before = cloud.refreshes
        with pytest.raises(Throttled, match="No tokens are requested before"):
            await fetch(signed_in)
        assert cloud.refreshes == before
        clock.advance(HOUR + 61)
    assert await fetch(signed_in) == b"the bytes of a clip"


async def test_a_token_in_force_is_used_when_it_cannot_be_refreshed_early(
    signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    await signed_in.account_id()
    cloud.routes["POST /oauth/token"] = Reply(status=503)
    clock.advance(14400 - 299)
    for _ in range(5):
        assert await fetch(signed_in) == b"the bytes of a clip"
    assert cloud.refreshes == 1, "who has just failed is not asked again for each clip"
    clock.advance(61)
    assert await fetch(signed_in) == b"the bytes of a clip"
    assert cloud.refreshes == 2

    clock.advance(299 - 61)
    with pytest.raises(ServerTrouble):
        await fetch(signed_in)
    assert cloud.refreshes == 3


async def test_a_pause_that_was_asked_for_is_kept_while_the_token_is_in_force(
    signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    await signed_in.account_id()
    cloud.routes["POST /oauth/token"] = Reply(status=429, headers=(("Retry-After", "200"),))
    clock.advance(14400 - 299)
    await fetch(signed_in)
    clock.advance(199)
    await fetch(signed_in)
    assert cloud.refreshes == 1


async def test_a_revoked_token_is_told_and_its_file_kept(
    signed_in: Client, cloud: Cloud, clock: ManualClock, token_file: Path
) -> None:
    kept = on_disk(token_file)
    cloud.refresh = "revoked-canary-1"
    clock.advance(14400)

    with pytest.raises(TokenRevoked):
        await signed_in.account_id()

    assert on_disk(token_file) == replace(kept, revoked=True, generation=kept.generation + 1)


async def test_a_revoked_token_is_shown_once_and_never_again(
    opened: Opener, signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    await signed_in.account_id()
    cloud.refresh = "revoked-canary-1"
    clock.advance(14400 - 60)
    for _ in range(3):
        with pytest.raises(TokenRevoked):
            await fetch(signed_in)
        async with opened() as blink:
            with pytest.raises(TokenRevoked):
                await blink.ensure_signed_in()
    assert cloud.refreshes == 1

    async with opened() as blink:
        await blink.sign_in(OWNER, PASSWORD)
    assert await fetch(signed_in) == b"the bytes of a clip", "another process has signed in"
    clock.advance(14400)
    assert await fetch(signed_in) == b"the bytes of a clip"
    assert cloud.refreshes == 2


async def test_a_refused_token_that_cannot_be_refreshed_is_shown_no_more(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.access, cloud.refresh = "ended-canary-1", "revoked-canary-1"
    for _ in range(3):
        with pytest.raises(TokenRevoked):
            await fetch(signed_in)
    assert (len(cloud.to(CLIP)), cloud.refreshes) == (1, 1)


async def test_a_revocation_that_cannot_be_noted_is_told(opened: Opener, cloud: Cloud, clock: ManualClock) -> None:
    files = Failing()
    async with opened(files=files) as blink:
        await blink.sign_in(OWNER, PASSWORD)
        cloud.refresh = "revoked-canary-1"
        clock.advance(14400)
        files.fails_at = files.writes + 2  # the first proves that there is room
        with pytest.raises(TokenRevoked):
            await blink.ensure_signed_in()
        await blink.ensure_signed_in(OWNER, PASSWORD)
        assert await fetch(blink) == b"the bytes of a clip"


async def test_new_tokens_are_on_disk_before_they_are_used(
    signed_in: Client, cloud: Cloud, clock: ManualClock, token_file: Path
) -> None:
    await signed_in.account_id()
    saved: list[Secret] = []

    def look(request: Seen) -> Reply:
        saved.append(on_disk(token_file).access)
        return Reply(body=b"x")

    cloud.routes[CLIP] = look
    clock.advance(14400)
    await fetch(signed_in)

    assert saved == [Secret(cloud.access)]
    assert cloud.to(CLIP)[0].headers["authorization"] == f"Bearer {saved[0].reveal()}"


async def test_who_is_told_of_new_tokens_finds_them_saved(opened: Opener, clock: ManualClock, token_file: Path) -> None:
    told: list[Tokens] = []

    def note(tokens: Tokens) -> None:
        assert on_disk(token_file) == tokens
        told.append(tokens)

    async with opened(on_refresh=note) as blink:
        await blink.sign_in(OWNER, PASSWORD)
        clock.advance(14400)
        await blink.account_id()

    assert [tokens.access for tokens in told] == [Secret("access-canary-1"), Secret("access-canary-2")]


async def test_a_refresh_is_finished_when_everybody_who_waits_is_cancelled(
    opened: Opener, cloud: Cloud, clock: ManualClock, token_file: Path
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Seen) -> Reply:
        reply = cloud.grant()  # the server has made its change
        asked.set()
        await go_on.wait()
        return reply

    async with opened() as blink:
        await blink.sign_in(OWNER, PASSWORD)
        await blink.account_id()
        cloud.routes["POST /oauth/token"] = slow
        clock.advance(14400)
        waiting = [asyncio.ensure_future(fetch(blink)) for _ in range(3)]
        await asked.wait()
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        asyncio.get_running_loop().call_later(0.01, go_on.set)

    assert on_disk(token_file).access == Secret(cloud.access) == Secret("access-canary-2")


class Failing(Files):
    """A disk that fails to write when it is told to."""

    fails_at = 0
    writes = 0

    def write(self, fd: int, data: bytes | memoryview) -> None:
        self.writes += 1
        if self.writes == self.fails_at:
            raise OSError(28, "No space left on device")
        super().write(fd, data)


async def test_tokens_that_could_not_be_saved_are_saved_before_anything_else(
    opened: Opener, cloud: Cloud, clock: ManualClock, token_file: Path
) -> None:
    files = Failing()
    async with opened(files=files) as blink:
        await blink.sign_in(OWNER, PASSWORD)
        await blink.account_id()
        clock.advance(14400)
        files.fails_at = files.writes + 2  # the first proves that there is room
        with pytest.raises(ArchiveError, match="No space left"):
            await fetch(blink)
        assert cloud.to(CLIP) == [], "tokens that are not on disk are not used"

        assert await fetch(blink) == b"the bytes of a clip"

    assert cloud.refreshes == 1, "the old refresh token may be dead: the new one must not be thrown away"
    assert on_disk(token_file).access == Secret(cloud.access)


async def test_tokens_that_could_not_be_saved_outlive_the_end_of_the_old_ones(
    opened: Opener, cloud: Cloud, clock: ManualClock, token_file: Path
) -> None:
    files = Failing()
    async with opened(files=files) as one, opened() as two:
        await one.sign_in(OWNER, PASSWORD)
        await one.account_id()
        clock.advance(14400)
        files.fails_at = files.writes + 2  # the first proves that there is room
        with pytest.raises(ArchiveError, match="No space left"):
            await fetch(one)
        token_file.with_name("home.json.next").unlink(missing_ok=True)
        with pytest.raises(TokenRevoked):
            await fetch(two)

        assert await fetch(one) == b"the bytes of a clip"
        assert await fetch(two) == b"the bytes of a clip"
    assert cloud.refreshes == 2


async def test_two_clients_on_one_file_refresh_once(opened: Opener, cloud: Cloud, clock: ManualClock) -> None:
    async with opened() as one, opened() as two:
        await one.sign_in(OWNER, PASSWORD)
        await one.account_id()
        await two.account_id()
        clock.advance(14400)

        await asyncio.gather(fetch(one), fetch(two), fetch(one), fetch(two))

    assert cloud.refreshes == 1
    assert one.tokens == two.tokens


PROCESS = """
import asyncio, sys
from pathlib import Path
from blinkarchive.blink import Client, Endpoints

async def main(url, token_file):
    servers = Endpoints.of(api_url=url, oauth_url=url)
    async with Client.open(Path(token_file), servers=servers) as blink:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        async with blink.media("/api/v2/accounts/123456/media/clip/77.mp4") as body:
            print(len(b"".join([chunk async for chunk in body.chunks])))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_three_processes_on_one_file_refresh_once(opened: Opener, cloud: Cloud, token_file: Path) -> None:
    async with opened(clock=Clock()) as blink:
        await blink.sign_in(OWNER, PASSWORD)
        await blink.account_id()
    cloud.access = "ended-canary-1"
    runs = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROCESS, cloud.url, str(token_file), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for run in runs:
        assert run.stdout is not None
        assert await run.stdout.readline() == b"ready\n"

    ends = await asyncio.gather(*(run.communicate(b"\n") for run in runs))

    assert [out for out, _ in ends] == [b"19\n"] * 3
    assert cloud.refreshes == 1


async def test_a_sign_in_is_shown_to_its_own_servers_alone(signed_in: Client, cloud: Cloud, opened: Opener) -> None:
    elsewhere = Endpoints.of(api_url="http://127.0.0.1:9", oauth_url="http://127.0.0.1:9")
    async with opened(servers=elsewhere) as blink:
        with pytest.raises(LoginNeeded, match=r"is of http://127\.0\.0\.1:\d+, not of http://127\.0\.0\.1:9"):
            await blink.account_id()


async def test_without_a_sign_in_nothing_is_sent(blink: Client, cloud: Cloud) -> None:
    with pytest.raises(LoginNeeded, match="nobody has signed in"):
        await fetch(blink)
    assert cloud.seen == []


async def test_the_account_is_looked_up_once_and_kept(opened: Opener, cloud: Cloud) -> None:
    async with opened() as blink:
        await blink.sign_in(OWNER, PASSWORD)
        await asyncio.gather(*(blink.account_id() for _ in range(5)))
    async with opened() as blink:
        assert await blink.account_id() == ACCOUNT
        assert blink.tokens.tier == "e008"

    assert len(cloud.to(TIER)) == 1


async def test_an_absolute_address_on_the_accounts_server_is_its_path(signed_in: Client, cloud: Cloud) -> None:
    assert await fetch(signed_in, f"{cloud.url}{CLIP}") == b"the bytes of a clip"
    assert cloud.to(CLIP)[0].raw.startswith(f"GET {CLIP} HTTP/1.1\r\n".encode())


async def test_every_request_waits_for_the_pace(opened: Opener, cloud: Cloud) -> None:
    waits = 0

    async def pace() -> None:
        nonlocal waits
        assert len(cloud.seen) == waits
        waits += 1

    async with opened(before_request=pace) as blink:
        await blink.sign_in(OWNER, PASSWORD)
        await fetch(blink)

    assert waits == len(cloud.seen) == 8


# Without a person


async def test_a_saved_sign_in_needs_no_other(opened: Opener, cloud: Cloud, signed_in: Client) -> None:
    async with opened() as blink:
        await blink.ensure_signed_in()
        await blink.ensure_signed_in(OWNER, PASSWORD)
    assert cloud.sign_ins == 1


async def test_a_password_is_used_when_the_sign_in_was_revoked(signed_in: Client, cloud: Cloud, clock: ManualClock) -> None:
    device = signed_in.tokens.hardware_id
    cloud.refresh = "revoked-canary-1"
    clock.advance(14400)
    with pytest.raises(TokenRevoked):
        await signed_in.ensure_signed_in()

    await signed_in.ensure_signed_in(OWNER, PASSWORD)

    assert await fetch(signed_in) == b"the bytes of a clip"
    assert signed_in.tokens.hardware_id == device, "the same device for ever"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (as_json({"message": "Login limit exceeded."}, 429), Throttled),
        (Reply(status=503), ServerTrouble),
        (as_json({"error": "invalid_client"}, 400), SourceError),
        (Reply(status=406), ClientRefused),
    ],
)
async def test_a_password_is_not_used_for_a_sign_in_that_may_be_good(
    said: Reply, kind: type[SourceError], signed_in: Client, cloud: Cloud, clock: ManualClock
) -> None:
    cloud.routes["POST /oauth/token"] = said
    clock.advance(14400)

    with pytest.raises(kind):
        await signed_in.ensure_signed_in(OWNER, PASSWORD)

    assert cloud.sign_ins == 1


async def test_a_password_is_not_used_for_a_damaged_file(
    signed_in: Client, opened: Opener, cloud: Cloud, token_file: Path
) -> None:
    token_file.write_bytes(b"damaged")
    async with opened() as blink:
        with pytest.raises(LoginNeeded, match="cannot be read"):
            await blink.ensure_signed_in(OWNER, PASSWORD)
    assert cloud.sign_ins == 1


async def test_a_password_is_used_when_the_sign_in_is_of_other_servers(
    opened: Opener, cloud: Cloud, token_file: Path, servers: Endpoints, clock: ManualClock
) -> None:
    async with opened() as blink:
        await blink.sign_in(OWNER, PASSWORD)
    other = replace(on_disk(token_file), oauth="http://127.0.0.1:9", api="http://127.0.0.1:9")
    await TokenFile(token_file).save(other, clock)
    async with opened() as blink:
        await blink.ensure_signed_in(OWNER, PASSWORD)
        assert await fetch(blink) == b"the bytes of a clip"
    assert cloud.sign_ins == 2


async def test_a_day_of_restarts_with_a_wrong_password_is_24_sign_ins(opened: Opener, cloud: Cloud, clock: ManualClock) -> None:
    held_back = 0
    for _ in range(24 * 6):
        async with opened() as blink:
            with pytest.raises((WrongPassword, LoginHeldBack)) as caught:
                await blink.ensure_signed_in(OWNER, Secret("wrong"))
            if isinstance(caught.value, LoginHeldBack):
                held_back += 1
                assert 0 < (caught.value.retry_after or 0) <= HOUR
        clock.advance(600)

    assert cloud.sign_ins == 24
    assert held_back == 120


async def test_an_attempt_is_noted_before_it_is_made(opened: Opener, cloud: Cloud) -> None:
    """A crash in the middle of a sign-in is no way around the brake."""
    cloud.routes["GET /oauth/v2/authorize"] = Reply(raw=b"")
    async with opened() as blink:
        with pytest.raises(Unreachable):
            await blink.ensure_signed_in(OWNER, PASSWORD)
    cloud.seen.clear()
    async with opened() as blink:
        with pytest.raises(LoginHeldBack):
            await blink.ensure_signed_in(OWNER, PASSWORD)

    assert cloud.seen == []


async def test_an_attempt_that_cannot_be_noted_is_not_made(opened: Opener, cloud: Cloud) -> None:
    files = Failing()
    files.fails_at = 1
    async with opened(files=files) as blink:
        with pytest.raises(ArchiveError):
            await blink.ensure_signed_in(OWNER, PASSWORD)
    assert cloud.seen == []


async def test_a_person_is_never_held_back(opened: Opener, cloud: Cloud) -> None:
    async with opened() as blink:
        with pytest.raises(WrongPassword):
            await blink.ensure_signed_in(OWNER, Secret("wrong"))
        with pytest.raises(WrongPassword):
            await blink.sign_in(OWNER, Secret("wrong"))
        await blink.sign_in(OWNER, PASSWORD)
    assert cloud.sign_ins == 3


async def test_a_clock_that_went_back_holds_back_for_an_hour_and_not_for_ever(
    opened: Opener, cloud: Cloud, clock: ManualClock
) -> None:
    ahead = ManualClock(datetime(2038, 1, 19, tzinfo=UTC))
    async with opened(clock=ahead) as blink:
        with pytest.raises(WrongPassword):
            await blink.ensure_signed_in(OWNER, Secret("wrong"))

    async with opened() as blink:
        for _ in range(2):
            with pytest.raises(LoginHeldBack):
                await blink.ensure_signed_in(OWNER, Secret("wrong"))
        clock.advance(HOUR)
        with pytest.raises(WrongPassword):
            await blink.ensure_signed_in(OWNER, Secret("wrong"))

    assert cloud.sign_ins == 2


@pytest.mark.parametrize("damage", [b"", b"x", b"{}", b'{"oauth": "x", "at": "2026-07-01T00:00:00"}'])
async def test_a_damaged_note_of_the_last_attempt_counts_as_one_just_now(
    damage: bytes, opened: Opener, cloud: Cloud, clock: ManualClock, token_file: Path
) -> None:
    token_file.parent.mkdir(mode=0o700)
    note = token_file.with_name("home.attempt.json")
    note.write_bytes(damage)
    note.chmod(0o600)
    async with opened() as blink:
        with pytest.raises(LoginHeldBack):
            await blink.ensure_signed_in(OWNER, PASSWORD)
        clock.advance(HOUR)
        await blink.ensure_signed_in(OWNER, PASSWORD)
    assert cloud.sign_ins == 1


async def test_while_a_code_is_waited_for_no_other_is_sent(opened: Opener, cloud: Cloud, clock: ManualClock) -> None:
    cloud.code = "123456"
    for _ in range(5):
        async with opened() as blink:
            with pytest.raises(CodeNeeded, match="by sms"):
                await blink.ensure_signed_in(OWNER, PASSWORD)
        clock.advance(2 * HOUR)
    assert cloud.sign_ins == 1

    async with opened() as blink:
        assert blink.pending is None, "too old to be worth a code: a person starts another"
        with pytest.raises(LoginNeeded, match="no sign-in waits"):
            await blink.send_code(Secret("123456"))
        with pytest.raises(CodeNeeded):
            await blink.sign_in(OWNER, PASSWORD)
        await blink.send_code(Secret("123456"))
        await blink.ensure_signed_in(OWNER, PASSWORD)
    assert cloud.sign_ins == 2


async def test_a_waiting_sign_in_is_a_private_file_for_its_own_server(opened: Opener, cloud: Cloud, token_file: Path) -> None:
    cloud.code = "123456"
    async with opened() as blink:
        with pytest.raises(CodeNeeded):
            await blink.sign_in(OWNER, PASSWORD)
        assert blink.pending is not None
    kept = token_file.with_name("home.pending.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert {one.stat().st_mode & 0o777 for one in token_file.parent.iterdir()} == {0o600}

    elsewhere = Endpoints.of(api_url="http://127.0.0.1:9", oauth_url="http://127.0.0.1:9")
    async with opened(servers=elsewhere) as blink:
        assert blink.pending is None
    kept.write_bytes(b"damaged")
    async with opened() as blink:
        assert blink.pending is None


async def test_a_sign_in_that_the_server_forgot_is_not_resumed_again(opened: Opener, cloud: Cloud) -> None:
    cloud.code = "123456"
    async with opened() as blink:
        with pytest.raises(CodeNeeded):
            await blink.sign_in(OWNER, PASSWORD)
        cloud.routes["POST /oauth/v2/2fa/verify"] = Reply(status=503)
        with pytest.raises(ServerTrouble):
            await blink.send_code(Secret("123456"))
        assert blink.pending is not None, "a passing fault ends nothing"
        cloud.routes["POST /oauth/v2/2fa/verify"] = as_json({"error": "bad_request", "error_cause": "empty_cookies"}, 400)
        with pytest.raises(ServerTrouble):
            await blink.send_code(Secret("123456"))
        assert blink.pending is None


async def test_tokens_from_elsewhere_are_proven_and_refreshed_as_they_were_issued(
    opened: Opener, servers: Endpoints, cloud: Cloud, clock: ManualClock
) -> None:
    cloud.grant()
    device = "11111111-2222-3333-4444-555555555555"
    brought = Tokens(
        access=Secret("ended"),
        refresh=Secret(cloud.refresh),
        expires_at=clock.now() + timedelta(hours=1),
        client_id="android",
        hardware_id=device,
        oauth=str(servers.oauth),
        api=str(servers.first),
        tier="prod",
        account_id=1,
    )
    async with opened() as blink:
        await blink.adopt(brought)
        assert await blink.account_id() == ACCOUNT
        form = cloud.to("/oauth/token")[-1].form
        assert (form["client_id"], form["hardware_id"]) == ("android", device)
        cloud.refresh = "revoked-canary-1"
        clock.advance(14400)
        await blink.ensure_signed_in(OWNER, PASSWORD)
        assert blink.tokens == replace(blink.tokens, hardware_id=device, client_id="ios")


async def test_nothing_that_is_logged_shows_a_secret(
    opened: Opener, cloud: Cloud, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened() as blink:
        await blink.sign_in(OWNER, PASSWORD)
        await fetch(blink)
        cloud.refresh = "revoked-canary-1"
        clock.advance(14400)
        with pytest.raises(TokenRevoked):
            await fetch(blink)
    assert "canary" not in caplog.text


# Whose sign-in it is


async def test_a_sign_in_is_kept_with_its_user(opened: Opener, signed_in: Client, cloud: Cloud, token_file: Path) -> None:
    await signed_in.account_id()
    assert on_disk(token_file).username == OWNER
    cloud.seen.clear()
    async with opened() as blink:
        await blink.belong_to(OWNER.upper())
        with pytest.raises(OtherAccount, match="of another user"):
            await blink.belong_to("other@example.org")
    assert cloud.seen == []
    assert on_disk(token_file).username == OWNER


async def test_a_sign_in_of_before_belongs_to_whom_the_config_names(
    opened: Opener, signed_in: Client, token_file: Path, clock: ManualClock
) -> None:
    await TokenFile(token_file).save(replace(on_disk(token_file), username=None), clock)
    async with opened() as blink:
        await blink.belong_to(OWNER)
        with pytest.raises(OtherAccount):
            await blink.belong_to("other@example.org")
        clock.advance(14400)
        await blink.account_id()
    assert on_disk(token_file).username == OWNER, "a refresh keeps it"


async def test_a_code_of_another_user_is_waited_for_no_more(opened: Opener, cloud: Cloud) -> None:
    cloud.code = "123456"
    async with opened() as blink:
        with pytest.raises(CodeNeeded):
            await blink.sign_in(OWNER, PASSWORD)
        await blink.belong_to(OWNER)
        assert blink.pending is not None
        assert blink.pending.username == OWNER
        await blink.belong_to("other@example.org")
        assert blink.pending is None


async def test_tokens_that_turn_out_to_be_of_another_account_are_refused(signed_in: Client, cloud: Cloud) -> None:
    await signed_in.account_id()
    cloud.routes[TIER] = cloud.guarded(as_json({"tier": "u034", "account_id": ACCOUNT + 1}))
    cloud.routes[CHANGED] = REFUSED
    with pytest.raises(OtherAccount):
        await signed_in.media_page(SINCE, 1)
