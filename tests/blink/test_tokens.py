"""The token file: never wider than its owner, never half-written, and the newest tokens found whatever died when."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blinkarchive.blink import private
from blinkarchive.blink.credentials import import_blinkpy
from blinkarchive.blink.endpoints import Endpoints
from blinkarchive.blink.tokens import TokenFile, Tokens
from blinkarchive.blink.wire import Grant
from blinkarchive.clock import Clock, ManualClock
from blinkarchive.errors import ArchiveError, ConfigError, LoginNeeded, Unreachable
from blinkarchive.files import Files
from blinkarchive.secret import Secret

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
DEVICE = "9C4D3B2A-0F1E-4D2C-8B3A-112233445566"


def tokens(number: int = 1, **facts: object) -> Tokens:
    grant = Grant(access_token=Secret(f"access {number}"), refresh_token=Secret(f"refresh {number}"))
    made = Tokens.granted(grant, Endpoints(), hardware_id=DEVICE, now=NOW)
    return replace(made, **facts)  # type: ignore[arg-type]  # facts of a test


class Killed(BaseException):
    """The process died here."""


class Dying(Files):
    """A file system on which the process dies at its n-th call, before or after it took effect, and does nothing more."""

    def __init__(self, *, at: int, after: bool, torn: bool = False) -> None:
        self.at, self.after, self.torn = at, after, torn
        self.calls: list[str] = []

    def _call(self, name: str, do: Callable[[], int | None]) -> int | None:
        self.calls.append(name)
        if len(self.calls) > self.at or (len(self.calls) == self.at and not self.after):
            raise Killed
        result = do()
        if len(self.calls) == self.at:
            raise Killed
        return result

    def create(self, path: Path, mode: int = 0o600) -> int:
        fd = self._call("create", lambda: Files.create(self, path, mode))
        assert fd is not None
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> None:
        if self.torn and len(self.calls) + 1 == self.at:
            os.write(fd, data[: len(bytes(data).rstrip()) // 2])  # the first half of what matters, and then the end
            self.calls.append("write")
            raise Killed
        self._call("write", lambda: Files.write(self, fd, data))

    def sync(self, fd: int) -> None:
        self._call("sync", lambda: Files.sync(self, fd))

    def sync_folder(self, path: Path) -> None:
        self._call("sync_folder", lambda: Files.sync_folder(self, path))

    def rename(self, old: Path, new: Path) -> None:
        self._call("rename", lambda: Files.rename(self, old, new))

    def unlink(self, path: Path) -> None:
        self._call("unlink", lambda: Files.unlink(self, path))


async def rotate(file: TokenFile, fetch: Callable[[], Awaitable[Tokens]], clock: Clock) -> Tokens:
    async with file.change(clock) as change:
        change.prepare()
        return change.commit(await fetch())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "home.json"


async def test_what_was_saved_is_loaded(path: Path, clock: ManualClock) -> None:
    assert TokenFile(path).load() is None

    given = tokens(tier="e008", account_id=2**40)
    saved = await TokenFile(path).save(given, clock)

    assert TokenFile(path).load() == saved == replace(given, generation=1)
    assert (await TokenFile(path).save(replace(given, refresh=None), clock)).generation == 2
    assert (loaded := TokenFile(path).load()) is not None
    assert loaded.refresh is None


async def test_a_mark_of_revocation_is_kept_and_a_file_from_before_there_was_one_is_read(path: Path, clock: ManualClock) -> None:
    file = TokenFile(path)
    await file.save(tokens(revoked=True), clock)
    assert (loaded := file.load()) is not None
    assert loaded.revoked

    fields = json.loads(path.read_bytes())
    del fields["revoked"], fields["sha256"]
    known = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    path.write_text(json.dumps({**fields, "sha256": hashlib.sha256(known).hexdigest()}))
    assert (loaded := file.load()) is not None
    assert loaded == tokens(generation=1)


async def test_nobody_else_may_read_any_of_the_files(path: Path, clock: ManualClock) -> None:
    old = os.umask(0)
    try:
        async with TokenFile(path).change(clock) as change:
            change.prepare()
            assert (path.with_name("home.json.next").stat().st_mode & 0o777) == 0o600
            change.commit(tokens())
    finally:
        os.umask(old)

    assert {one.stat().st_mode & 0o777 for one in path.parent.iterdir()} == {0o600}
    assert (path.parent.stat().st_mode & 0o777) == 0o700
    assert sorted(one.name for one in path.parent.iterdir()) == ["home.json", "home.json.lock"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o602, 0o610])
async def test_a_file_that_others_may_use_is_refused_with_a_way_out(mode: int, path: Path, clock: ManualClock) -> None:
    await TokenFile(path).save(tokens(), clock)
    path.chmod(mode)

    with pytest.raises(ConfigError, match=f"chmod 600 '{path}'"):
        TokenFile(path).load()

    assert path.stat().st_mode & 0o777 == mode


async def test_a_folder_that_others_may_change_is_refused(path: Path, clock: ManualClock) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o770)

    with pytest.raises(ConfigError, match="chmod 700"):
        await TokenFile(path).save(tokens(), clock)


async def test_a_link_or_a_pipe_or_a_folder_is_no_token_file(path: Path, tmp_path: Path, clock: ManualClock) -> None:
    await TokenFile(tmp_path / "other" / "home.json").save(tokens(), clock)
    path.parent.mkdir(mode=0o700)

    path.symlink_to(tmp_path / "other" / "home.json")
    with pytest.raises(ConfigError, match="symbolic link"):
        TokenFile(path).load()
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match="not a plain file"):
        TokenFile(path).load()
    path.unlink()
    path.mkdir(0o700)
    with pytest.raises(ConfigError, match="not a plain file"):
        TokenFile(path).load()


@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b"null", b"not json", b"\xff\xfe", b"[" * 5000, b'{"generation":9,"access_token":"x"}', "half", "a bit"],
)
async def test_a_damaged_file_is_told_and_never_destroyed(damage: bytes | str, path: Path, clock: ManualClock) -> None:
    await TokenFile(path).save(tokens(), clock)
    whole = path.read_bytes()
    hurt = {"half": whole[: len(whole) // 2], "a bit": whole.replace(b"refresh 1", b"refresh 2")}.get(str(damage), damage)
    assert isinstance(hurt, bytes)
    path.write_bytes(hurt)

    with pytest.raises(LoginNeeded, match="left as it is"):
        TokenFile(path).load()
    assert path.read_bytes() == hurt

    saved = await TokenFile(path).save(tokens(2), clock)
    assert TokenFile(path).load() == saved
    assert path.with_name("home.json.damaged").read_bytes() == hurt


async def dies(path: Path, files: Dying, clock: Clock) -> bool:
    """Rotate from the first to the second tokens; whether the process died before it had finished."""

    async def fetch() -> Tokens:
        files.calls.append("POST")
        if len(files.calls) > files.at:
            raise Killed
        if len(files.calls) == files.at:
            raise Killed
        return tokens(2)

    try:
        await rotate(TokenFile(path, files=files), fetch, clock)
    except Killed:
        return True
    return False


@pytest.mark.parametrize(("after", "torn"), [(False, False), (True, False), (False, True)])
async def test_whatever_dies_when_the_newest_whole_tokens_are_found(
    after: bool, torn: bool, path: Path, clock: ManualClock
) -> None:
    points = 0
    for at in range(1, 100):
        home = path.with_name(f"{at}.json")
        first = await TokenFile(home).save(tokens(1), clock)
        files = Dying(at=at, after=after, torn=torn)
        died = await dies(home, files, clock)

        found = TokenFile(home).load()
        assert found is not None
        assert TokenFile(home)._read(home) in (first, found), "the file itself is whole at any moment"
        written = files.calls.count("write") == 2 and (after or files.calls[-1] != "write" or len(files.calls) > at)
        assert found.access == Secret("access 2" if written else "access 1"), (at, files.calls)
        # The next one goes on from there, as if nothing had been.
        assert (await TokenFile(home).save(tokens(3), clock)).generation == found.generation + 1
        assert TokenFile(home).load() == replace(tokens(3), generation=found.generation + 1)
        if not died:
            break
        points += 1
    assert points == len(files.calls) >= 9, files.calls


async def test_each_step_is_durable_before_the_next(path: Path, clock: ManualClock) -> None:
    """What a power cut takes is what was not synced: the room is proven first, and no name points at bytes that may be lost."""
    await TokenFile(path).save(tokens(1), clock)
    files = Dying(at=100, after=False)
    assert not await dies(path, files, clock)

    assert files.calls == ["unlink", "create", "write", "sync", "POST", "write", "sync", "rename", "sync_folder"]


async def test_a_damaged_file_gives_way_to_a_whole_one_that_waits_and_is_kept(path: Path, clock: ManualClock) -> None:
    second = await TokenFile(path).save(tokens(2), clock)
    waiting = path.with_name("home.json.next")
    path.rename(waiting)
    path.write_bytes(b"damaged")
    path.chmod(0o600)

    assert TokenFile(path).load() == second
    files = Dying(at=100, after=False)
    async with TokenFile(path, files=files).change(clock) as change:
        assert change.current == second
    assert files.calls == ["sync", "rename", "rename", "sync_folder"], "what waits may not be durable yet"
    assert TokenFile(path).load() == second
    assert path.with_name("home.json.damaged").read_bytes() == b"damaged"


async def test_a_new_file_waits_for_its_whole_content(path: Path, clock: ManualClock) -> None:
    """A reader that looks while the new tokens are being written sees the old ones."""
    first = await TokenFile(path).save(tokens(1), clock)
    second = await TokenFile(path).save(tokens(2), clock)
    whole = path.read_bytes()
    await TokenFile(path).save(replace(first, generation=0), clock)
    waiting = path.with_name("home.json.next")
    old = TokenFile(path).load()
    assert old is not None
    newer = json.dumps({**json.loads(whole)}).encode()
    for cut in range(0, len(newer), 7):
        waiting.write_bytes(newer[:cut])
        waiting.chmod(0o600)
        assert TokenFile(path).load() == old
    assert second.generation < old.generation, "an older one that waits does not count either"
    waiting.write_bytes(whole)
    assert TokenFile(path).load() == old


class Full(Files):
    """A disk without room, from the n-th write on."""

    def __init__(self, *, writes: int) -> None:
        self.left = writes

    def write(self, fd: int, data: bytes | memoryview) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")
        super().write(fd, data)


async def test_no_tokens_are_asked_for_when_there_is_no_room_to_keep_them(path: Path, clock: ManualClock) -> None:
    first = await TokenFile(path).save(tokens(1), clock)
    asked = False

    async def fetch() -> Tokens:
        nonlocal asked
        asked = True
        return tokens(2)

    with pytest.raises(ArchiveError, match=r"cannot be kept .* No space left"):
        await rotate(TokenFile(path, files=Full(writes=0)), fetch, clock)

    assert not asked
    assert TokenFile(path).load() == first
    assert not path.with_name("home.json.next").exists()


async def test_the_room_that_was_proven_is_the_room_that_is_used(path: Path, clock: ManualClock) -> None:
    sizes = []
    async with TokenFile(path).change(clock) as change:
        change.prepare()
        sizes.append(path.with_name("home.json.next").stat().st_size)
        change.commit(tokens(1, access=Secret("x" * 8000)))
    assert sizes[0] > path.stat().st_size > 8000


async def test_a_change_that_is_given_up_leaves_nothing(path: Path, clock: ManualClock) -> None:
    first = await TokenFile(path).save(tokens(1), clock)

    async def fetch() -> Tokens:
        raise Unreachable

    with pytest.raises(Unreachable):
        await rotate(TokenFile(path), fetch, clock)

    assert TokenFile(path).load() == first
    assert not path.with_name("home.json.next").exists()


async def test_two_changes_come_one_after_the_other(path: Path) -> None:
    clock = Clock()
    order: list[str] = []

    async def change(name: str) -> None:
        async with TokenFile(path).change(clock) as held:
            order.append(name)
            await asyncio.sleep(0.02)
            held.prepare()
            held.commit(tokens())
            order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(change(name))

    assert [order[0], order[2], order[4]] == [order[1], order[3], order[5]]
    assert (loaded := TokenFile(path).load()) is not None
    assert loaded.generation == 3


async def test_a_lock_that_is_never_given_up_is_waited_for_a_minute(path: Path, clock: ManualClock) -> None:
    async with TokenFile(path).change(clock):
        with pytest.raises(Unreachable, match="another process"):
            async with TokenFile(path).change(clock):
                pytest.fail("two at once")

    assert private.LOCK_WAIT <= clock.monotonic() < private.LOCK_WAIT + 1


@pytest.mark.parametrize("seconds", [-5.0, 0.0, float("inf"), float("nan"), 1e12])
def test_a_nonsensical_life_of_a_token_ends_at_once(seconds: float) -> None:
    grant = Grant(access_token=Secret("a"), expires_in=seconds)
    assert Tokens.granted(grant, Endpoints(), hardware_id=DEVICE, now=NOW).expires_at == NOW


def test_an_answer_without_a_refresh_token_leaves_the_old_one_in_force() -> None:
    renewed = tokens(1).renewed(Grant(access_token=Secret("new"), expires_in=60), NOW)
    assert (renewed.access, renewed.refresh, renewed.expires_at) == (
        Secret("new"),
        Secret("refresh 1"),
        NOW + timedelta(minutes=1),
    )


BLINKPY = {
    "username": "me@example.org",
    "password": "pass",
    "uid": "BlinkCamera_9c4d3b2a-0f1e-4d2c-8b3a-112233445566",
    "device_id": "Blinkpy",
    "token": "access",
    "expires_in": 14400,
    "expiration_date": 1782907200.5,
    "refresh_token": "refresh",
    "host": "e008.immedia-semi.com",
    "region_id": "e008",
    "client_id": "7654321",
    "account_id": 123456,
    "user_id": "1",
    "hardware_id": DEVICE,
}
SERVERS = Endpoints()


def blinkpy_file(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "blink.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=4))
    return path


def test_a_blinkpy_file_is_a_sign_in(tmp_path: Path) -> None:
    got = import_blinkpy(blinkpy_file(tmp_path, BLINKPY), servers=SERVERS, now=NOW)

    assert (got.access, got.refresh, got.client_id, got.hardware_id) == (Secret("access"), Secret("refresh"), "ios", DEVICE)
    assert (got.tier, got.account_id) == ("e008", 123456)
    assert got.expires_at == datetime.fromtimestamp(1782907200.5, UTC)
    assert got.are_of(SERVERS)


@pytest.mark.parametrize("key", sorted(BLINKPY))
def test_any_key_of_a_blinkpy_file_may_be_absent_or_null(key: str, tmp_path: Path) -> None:
    for content in ({**BLINKPY, key: None}, {k: v for k, v in BLINKPY.items() if k != key}):
        got = import_blinkpy(blinkpy_file(tmp_path, content), servers=SERVERS, now=NOW)
        assert got.refresh == (None if key == "refresh_token" else Secret("refresh"))
        assert got.tier == "e008"
        assert (got.expires_at == NOW) == (key in ("token", "expiration_date"))
        assert (got.hardware_id == DEVICE) == (key != "hardware_id")


@pytest.mark.parametrize("odd", ["Blinkpy", "Home Assistant", "", "x" * 36])
def test_a_device_id_that_blink_would_refuse_is_not_taken_over(odd: str, tmp_path: Path) -> None:
    got = import_blinkpy(blinkpy_file(tmp_path, {**BLINKPY, "hardware_id": odd}), servers=SERVERS, now=NOW)
    assert got.hardware_id not in (odd, DEVICE)
    assert got.hardware_id == got.hardware_id.upper()


def test_tokens_are_refreshed_as_the_client_they_name(tmp_path: Path) -> None:
    android = "eyJhbGciOiJub25lIn0.eyJjbGllbnRfaWQiOiJhbmRyb2lkIn0.x"  # {"client_id": "android"}
    assert import_blinkpy(blinkpy_file(tmp_path, {**BLINKPY, "token": android}), servers=SERVERS, now=NOW).client_id == "android"
    for other in ("eyJhbGciOiJub25lIn0.eyJjbGllbnRfaWQiOiJ4In0.x", "a.b.c", "a.%.c", "..", "a.W10.c", "a.____.c"):
        assert import_blinkpy(blinkpy_file(tmp_path, {**BLINKPY, "token": other}), servers=SERVERS, now=NOW).client_id == "ios"


@pytest.mark.parametrize(
    "content", ["", "not json", "[]", "{}", '{"username": "x"}', '{"token": "", "refresh_token": ""}', '{"token": 5}', "[" * 5000]
)
def test_a_file_without_a_sign_in_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"blink\.json"):
        import_blinkpy(blinkpy_file(tmp_path, content), servers=SERVERS, now=NOW)


def test_a_blinkpy_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        import_blinkpy(tmp_path / "none.json", servers=SERVERS, now=NOW)


@pytest.mark.parametrize("date", [1e300, -1e300, "soon", [], True])
def test_an_odd_date_in_a_blinkpy_file_spoils_nothing_else(date: object, tmp_path: Path) -> None:
    got = import_blinkpy(blinkpy_file(tmp_path, {**BLINKPY, "expiration_date": date}), servers=SERVERS, now=NOW)
    assert got.expires_at == NOW
    assert got.refresh == Secret("refresh")
