"""Clips that are encrypted for a sink: the same bytes at every try, nothing in clear by mistake, and nobody held up by it."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

from blinkarchive import Content, Copy, Key, SinkName, SinkUnavailable, SourceName
from blinkarchive.encryption import Recipients
from blinkarchive.errors import ArchiveError, CopyDiffers, SpoolFull
from blinkarchive.index import Index
from blinkarchive.interfaces import ClipRef
from blinkarchive.model import RunReport
from blinkarchive.pipeline import spool as spooling
from blinkarchive.pipeline.archive import Ask
from blinkarchive.pipeline.deletion import Rule
from blinkarchive.pipeline.lane import MARKER
from blinkarchive.pipeline.naming import opaque_name, second_name
from blinkarchive.pipeline.spool import Spool
from blinkarchive.secret import Secret
from tests.pipeline.fakes import MemorySink, clip, film, found
from tests.pipeline.test_archive import House, Listing
from tests.unit.test_spool import REF, FailingFiles, NotingFiles, ref

AWAY, NAS = SinkName("away"), SinkName("nas")
KEYS = [pyrage.x25519.Identity.generate() for _ in range(3)]
PUBLIC = [str(key.to_public()) for key in KEYS]
ONE, OTHER = Recipients(PUBLIC[:2]), Recipients(PUBLIC[1:])


def plain(sealed: bytes, key: Any = KEYS[0]) -> bytes:
    return bytes(pyrage.decrypt(sealed, [key]))


# --- the spool

FILM = film(1)


async def filled(spool: Spool, data: bytes = FILM) -> Content:
    return await spool.fill(ref(data))


async def test_a_sink_is_given_the_same_bytes_at_every_try(tmp_path: Path) -> None:
    async with Spool(tmp_path).opened() as spool:
        content = await filled(spool)
        first = await spool.sealed(REF.id, AWAY, content, ONE)
        again = await spool.sealed(REF.id, AWAY, content, ONE)
        data = first.path.read_bytes()
        assert again == first
        assert (first.size, first.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert {plain(data, key) for key in KEYS[:2]} == {FILM}
        assert first.path.stat().st_mode & 0o777 == 0o600


async def test_a_later_run_gives_the_same_bytes_whatever_became_of_the_first(tmp_path: Path) -> None:
    async with Spool(tmp_path).opened() as spool:
        first = (await spool.sealed(REF.id, AWAY, await filled(spool), ONE)).path.read_bytes()
    async with Spool(tmp_path).opened() as spool:
        content = await spool.leftover(REF.id)
        assert content is not None
        reordered = Recipients(reversed(ONE.texts))
        assert (await spool.sealed(REF.id, AWAY, content, reordered)).path.read_bytes() == first


async def test_each_sink_has_an_encryption_of_its_own(tmp_path: Path) -> None:
    async with Spool(tmp_path).opened() as spool:
        content = await filled(spool)
        made = await asyncio.gather(*(spool.sealed(REF.id, SinkName(f"sink{n}"), content, ONE) for n in range(6)))
        assert len({one.sha256 for one in made}) == len({one.path for one in made}) == 6
        await spool.release_sealed(REF.id, SinkName("sink3"))
        await spool.tidy()
        assert [one.path.exists() for one in made] == [True, True, True, False, True, True]
        assert content.path.exists()
        await spool.release(REF.id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data + b"x", lambda data: bytes([data[0] ^ 1]) + data[1:], lambda data: b""]
)
async def test_what_was_damaged_on_the_disk_is_made_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    async with Spool(tmp_path).opened() as spool:
        sealed = await spool.sealed(REF.id, AWAY, await filled(spool), ONE)
    sealed.path.write_bytes(damage(sealed.path.read_bytes()))
    async with Spool(tmp_path).opened() as spool:
        content = await spool.leftover(REF.id)
        assert content is not None
        again = await spool.sealed(REF.id, AWAY, content, ONE)
        assert plain(again.path.read_bytes()) == FILM
        assert sealed_files(tmp_path) == [again.path]


async def test_another_film_under_the_same_id_is_encrypted_anew(tmp_path: Path) -> None:
    async with Spool(tmp_path).opened() as spool:
        await spool.sealed(REF.id, AWAY, await filled(spool), ONE)
        again = await spool.sealed(REF.id, AWAY, await filled(spool, film(2)), ONE)
        assert plain(again.path.read_bytes()) == film(2)
        assert sealed_files(tmp_path) == [again.path]


async def test_for_other_recipients_it_is_encrypted_anew_and_who_is_none_any_more_cannot_open_it(tmp_path: Path) -> None:
    async with Spool(tmp_path).opened() as spool:
        content = await filled(spool)
        await spool.sealed(REF.id, AWAY, content, ONE)
        again = await spool.sealed(REF.id, AWAY, content, OTHER)
        assert plain(again.path.read_bytes(), KEYS[2]) == FILM
        with pytest.raises(pyrage.DecryptError):
            plain(again.path.read_bytes(), KEYS[0])
        assert sealed_files(tmp_path) == [again.path]


async def test_a_stop_in_the_middle_leaves_one_encryption_and_no_second_is_made(tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()

    class Slow(Recipients):
        def encrypt(self, plain: Any, write: Callable[[bytes], object]) -> None:
            began.set()
            assert go_on.wait(10)
            super().encrypt(plain, write)

    async with Spool(tmp_path).opened() as spool:
        content = await filled(spool)
        sealing = asyncio.ensure_future(spool.sealed(REF.id, AWAY, content, Slow(ONE.texts)))
        assert await asyncio.to_thread(began.wait, 10)
        sealing.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await sealing
        [made] = sealed_files(tmp_path)
        assert (await spool.sealed(REF.id, AWAY, content, ONE)).path == made
        assert sealed_files(tmp_path) == [made]
        assert spool.leftovers == [REF.id]


async def test_without_room_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Spool(tmp_path).opened() as spool:
        content = await filled(spool)
        spool._reserve = 2**62
        with pytest.raises(SpoolFull, match="MB are free"):
            await spool.sealed(REF.id, AWAY, content, ONE)
        assert list(tmp_path.iterdir()) == [content.path]


@pytest.mark.parametrize(("error", "kind"), [(errno.ENOSPC, SpoolFull), (errno.EIO, ArchiveError)])
async def test_a_disk_that_fails_at_any_step_leaves_nothing_half_and_heals(
    tmp_path: Path, error: int, kind: type[Exception]
) -> None:
    """Also at the last piece, where the one that encrypts is silent."""
    film = FILM[:-8] + b"".join((200_000).to_bytes(4) + b"mdat" + bytes(199_992) for _ in range(1))
    files = FailingFiles(0, error)
    async with Spool(tmp_path, files=files).opened() as spool:
        content = await filled(spool, film)
        failures = 0
        for at in range(1, 100):
            files.at = at
            try:
                sealed = await spool.sealed(REF.id, AWAY, content, ONE)
            except kind:
                failures += 1
                assert list(tmp_path.iterdir()) == [content.path]
            else:
                break
        assert failures > 6
        assert plain(sealed.path.read_bytes()) == film
        assert (sealed.size, sealed.sha256) == (sealed.path.stat().st_size, hashlib.sha256(sealed.path.read_bytes()).hexdigest())


async def test_a_folder_that_cannot_be_made_durable_holds_nothing_that_a_later_run_would_take(tmp_path: Path) -> None:
    class Fails(NotingFiles):
        fails = False

        def sync_folder(self, path: Path) -> None:
            if self.fails:
                raise OSError(errno.EIO, "broken")
            super().sync_folder(path)

    files = Fails()
    async with Spool(tmp_path, files=files).opened() as spool:
        content = await filled(spool)
        files.fails = True
        with pytest.raises(ArchiveError, match="broken"):
            await spool.sealed(REF.id, AWAY, content, ONE)
        files.fails = False
        sealed = await spool.sealed(REF.id, AWAY, content, ONE)
        assert sealed_files(tmp_path) == [sealed.path]


async def test_it_is_on_the_disk_before_it_has_its_name_and_its_name_before_it_counts(tmp_path: Path) -> None:
    files = NotingFiles()
    async with Spool(tmp_path, files=files).opened() as spool:
        content = await filled(spool)
        files.did.clear()
        await spool.sealed(REF.id, AWAY, content, ONE)
        assert [did for did in files.did if did != "write"] == ["sync", "rename", "sync folder"]
        assert files.did[-3:] == ["sync", "rename", "sync folder"]


@pytest.mark.parametrize("change", [lambda data: data[:-1] + b"x", lambda data: data[:-1], lambda data: data + b"x"])
async def test_a_clip_that_somebody_changed_meanwhile_is_not_encrypted(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """Nobody could see any more that it is not what it was."""
    async with Spool(tmp_path).opened() as spool:
        content = await filled(spool)
        content.path.write_bytes(change(FILM))
        with pytest.raises(ArchiveError, match="was changed by somebody"):
            await spool.sealed(REF.id, AWAY, content, ONE)
        assert sealed_files(tmp_path) == []


async def test_half_an_encryption_of_a_killed_run_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".3.part").write_bytes(b"age-encryption.org/v1\nhalf")
    async with Spool(tmp_path).opened() as spool:
        assert spool.leftovers == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("id_", ["cloud:home:7", "stick:a~b/c d:é:9", "x" * 900])
async def test_whatever_the_id_its_encryption_is_found_again(tmp_path: Path, id_: str) -> None:
    one, sink = clip(1), SinkName("a" * 39 + "z")
    one = replace(one, id=type(one.id)(id_))
    async with Spool(tmp_path).opened() as spool:
        content = await spool.fill(replace(found(1), clip=one))
        first = await spool.sealed(one.id, sink, content, ONE)
    async with Spool(tmp_path).opened() as spool:
        content_again = await spool.leftover(one.id)
        assert content_again is not None
        assert await spool.sealed(one.id, sink, content_again, ONE) == first
        await spool.release(one.id)
    assert list(tmp_path.iterdir()) == []


async def test_what_is_encrypted_of_our_own_is_so_on_the_disk_too(tmp_path: Path) -> None:
    async with Spool(tmp_path).opened() as spool, spool.written(b"which cameras there are", ONE) as content:
        data = content.path.read_bytes()
        assert plain(data) == b"which cameras there are"
        assert (content.size, content.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def sealed_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".age")]


# --- names


def test_a_name_is_the_same_each_time_and_another_for_another_archive() -> None:
    key, secret = Key("porch/2026/05/01/porch_1.mp4"), Secret("a" * 64)
    name = opaque_name(key, secret)
    assert name == opaque_name(key, secret)
    assert name != opaque_name(key, Secret("b" * 64)) != opaque_name(Key("porch/2026/05/01/porch_2.mp4"), secret)
    folder, _, file = name.partition("/")
    assert file.startswith(folder)
    assert len(file) == 36
    assert set(file.removesuffix(".age")) <= set("0123456789abcdef")
    assert name not in (f"{h[:2]}/{h[:32]}.age" for h in [hashlib.sha256(key.encode()).hexdigest()])


def test_a_second_name_of_it_tells_nothing_either() -> None:
    name = opaque_name(Key("porch/1.mp4"), Secret("a" * 64))
    assert second_name(name, "cd" * 32) == name.removesuffix(".age") + ".conflict-cdcdcdcd.age"


# --- runs


class Vault(MemorySink):
    """A sink that judges what it is given: nothing but the marker may be readable for whom the key is unknown."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        #: What is raised after the bytes have come through.
        self.lost: Exception | None = None
        self.opens: list[Key] = []

    async def put(self, key: Key, content: Content) -> None:
        if key != MARKER:
            assert key.endswith(".age"), f"{key} says what it is"
            assert content.path.read_bytes().startswith(b"age-encryption.org/v1\n"), f"{key} can be read by anybody"
            if self.error:
                raise self.error
        await super().put(key, content)
        if self.lost and key != MARKER:
            raise self.lost

    def open(self, key: Key, start: int = 0) -> Any:
        self.opens.append(key)
        return super().open(key, start)

    @property
    def films(self) -> list[bytes]:
        """What is in it, once it was opened."""
        return sorted(
            plain(data) for key, data in self.objects.items() if key.endswith(".age") and not key.startswith("catalog/")
        )


class Deaf(Vault):
    """A vault that takes everything and loses its answers."""

    async def stat(self, key: Key) -> Any:
        if self.lost and key != MARKER:
            raise self.lost
        return await super().stat(key)


class Plain(MemorySink):
    """A sink that can be taken down."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None

    async def put(self, key: Key, content: Content) -> None:
        if self.error and key.endswith(".mp4"):
            raise self.error
        await super().put(key, content)


class Gone(MemorySink):
    """A sink that is not there at all."""

    def open(self, key: Key, start: int = 0) -> Any:
        raise SinkUnavailable("not mounted")


@dataclass
class Sealed:
    """A house with a vault, and as it may be a plain sink beside it."""

    house: House
    away: Vault = field(default_factory=Vault)
    nas: Plain = field(default_factory=Plain)
    opened: list[int] = field(default_factory=list)

    def clips(self, *numbers: int) -> Listing:
        return Listing(*(found(number, opened=self.opened) for number in numbers))

    async def run(self, *numbers: int, **how: Any) -> RunReport:
        return await self.house.run(self.clips(*numbers), **how)


@pytest.fixture
def alone(tmp_path: Path) -> Sealed:
    """Nothing but a vault."""
    one = Sealed(House(tmp_path))
    one.house.sinks = {AWAY: one.away}
    one.house.encrypt = {AWAY: PUBLIC[:2]}
    return one


@pytest.fixture
def both(alone: Sealed) -> Sealed:
    """A vault and a plain sink."""
    alone.house.sinks = {AWAY: alone.away, NAS: alone.nas}
    return alone


def films(*numbers: int) -> list[bytes]:
    return sorted(map(film, numbers))


def troubles(report: RunReport) -> str:
    return "\n".join(f"{trouble.where}: {trouble.what}" for trouble in report.troubles)


class Killed(BaseException):
    """The machine is gone before the index knows."""


class KilledAt:
    """An index that ends the run when a copy is to be recorded in a sink."""

    def __init__(self, index: Index, sink: SinkName) -> None:
        self._index = index
        self._sink = sink

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def record(self, copy: Copy) -> None:
        if copy.sink == self._sink:
            raise Killed
        await self._index.record(copy)


def killed(sink: SinkName) -> Callable[[Index], Any]:
    return lambda index: KilledAt(index, sink)


async def test_the_index_knows_the_clip_itself_and_what_the_sink_holds(both: Sealed) -> None:
    await both.run(1)
    async with both.house.index() as index:
        [standing] = await index.standings([clip(1).id], [AWAY, NAS])
    copies = {copy.sink: copy for copy in standing.held}
    stored = both.away.objects[copies[AWAY].key]
    assert (copies[AWAY].size, copies[AWAY].sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
    assert copies[NAS].plain is None
    for one in copies.values():
        assert (one.clip_size, one.clip_sha256) == (len(film(1)), hashlib.sha256(film(1)).hexdigest())
    assert both.house.told[0][1] in copies.values(), "a plugin is told the same"
    assert both.house.spooled == []


@pytest.mark.parametrize("kills", [1, 3])
async def test_a_kill_after_the_put_and_before_the_index_knows_makes_no_second_object(alone: Sealed, kills: int) -> None:
    for _ in range(kills):
        with pytest.raises(BaseExceptionGroup):
            await alone.run(1, wrap=killed(AWAY))
    [key] = [key for key in alone.away.objects if key != MARKER]
    report = await alone.run(1)
    assert report.total.stored == 1
    assert [key for key in alone.away.objects if key != MARKER and not key.startswith("catalog/")] == [key]
    assert troubles(report) == ""
    assert alone.opened == [1]
    assert alone.house.spooled == []


async def test_a_kill_once_the_readable_copy_is_recorded_makes_no_second_object_either(both: Sealed) -> None:
    with pytest.raises(BaseExceptionGroup):
        await both.run(1, wrap=killed(AWAY))
    await both.run()
    assert both.away.films == [film(1)]
    assert both.nas.clips == {film(1)}
    assert both.house.spooled == []


async def test_a_put_whose_answer_was_lost_makes_no_second_object_though_another_sink_has_the_clip(both: Sealed) -> None:
    """The clip can be read back from the other sink then; encrypted anew it would be other bytes."""

    both.away = both.house.sinks[AWAY] = Deaf()
    both.away.lost = SinkUnavailable("the line is dead")
    report = await both.run(1)
    assert report.sinks[AWAY].failed == 1
    assert both.nas.clips == {film(1)}
    both.away.lost = None
    report = await both.run()
    assert report.sinks[AWAY].stored == 1
    assert both.away.films == [film(1)]
    assert "taken by other bytes" not in troubles(report)
    assert both.house.spooled == []


async def test_a_dead_sink_gets_its_clips_later_though_nobody_could_give_them_back(both: Sealed) -> None:
    both.nas.error = SinkUnavailable("the disk is off")
    report = await both.run(*range(20))
    assert both.away.films == films(*range(20))
    assert report.sinks[NAS].failed == 20
    assert len(both.house.spooled) == 20, "the clips alone: what was encrypted is where it belongs"
    both.nas.error = None
    report = await both.run()
    assert both.nas.clips == {film(n) for n in range(20)}
    assert sorted(both.opened) == list(range(20)), "the source was not asked again"
    assert both.house.spooled == []
    assert troubles(report) == ""


async def test_a_dead_vault_holds_up_nobody_and_is_fed_from_the_sink_that_can_be_read(both: Sealed) -> None:
    both.away.error = SinkUnavailable("away")
    await both.run(*range(20))
    assert both.nas.clips == {film(n) for n in range(20)}
    assert not [path for path in both.house.spooled if not path.name.endswith(".age")], "the clips themselves are in the other"
    both.away.error = None
    await both.run()
    assert both.away.films == films(*range(20))
    assert sorted(both.opened) == list(range(20))
    assert both.house.spooled == []


async def test_a_run_for_one_sink_takes_nothing_from_another_that_could_get_it_from_nowhere(both: Sealed) -> None:
    await both.run(1, ask=Ask(sinks=(AWAY,)))
    assert both.away.films == [film(1)]
    await both.run(1, ask=Ask(sinks=(AWAY,)))
    await both.run()
    assert both.nas.clips == {film(1)}
    assert both.opened == [1]
    assert both.house.spooled == []


async def test_a_run_for_one_sink_leaves_to_another_what_was_encrypted_for_it(both: Sealed) -> None:
    both.away = both.house.sinks[AWAY] = Deaf()
    both.away.lost, both.nas.error = SinkUnavailable("away"), SinkUnavailable("off")
    await both.run(1)
    both.away.lost = both.nas.error = None
    await both.run(ask=Ask(sinks=(NAS,)))
    assert both.nas.clips == {film(1)}
    await both.run(ask=Ask(sinks=(NAS,)))
    await both.run()
    assert both.away.films == [film(1)]
    assert both.house.spooled == []


async def test_a_run_that_cannot_be_given_the_clip_keeps_what_was_encrypted_of_it(both: Sealed) -> None:
    both.away = both.house.sinks[AWAY] = Deaf()
    both.away.lost = SinkUnavailable("the line is dead")
    await both.run(1)
    both.away.lost = None
    await both.run(ask=Ask(sinks=(AWAY,)))
    assert len(both.house.spooled) == 1
    await both.run()
    assert both.away.films == [film(1)]
    assert both.house.spooled == []


async def test_what_was_encrypted_of_a_clip_that_nobody_has_any_more_goes(both: Sealed) -> None:
    both.nas.error = SinkUnavailable("off")
    both.away.error = SinkUnavailable("away")
    await both.run(1)
    for path in both.house.spooled:
        if not path.name.endswith(".age"):
            path.unlink()
    assert len(both.house.spooled) == 1
    report = await both.run()
    assert both.house.spooled == []
    assert "clip" not in troubles(report)


async def test_no_clip_is_ever_read_back_from_a_vault(both: Sealed) -> None:
    both.nas.error = SinkUnavailable("off")
    await both.run(1, 2)
    both.away.opens.clear()  # the proof of what was put: in the run that put it, and never again
    for path in both.house.spooled:
        path.unlink()
    both.nas.error = None
    both.house.sinks["third"] = MemorySink()
    await both.run()
    assert both.nas.clips == both.house.sinks["third"].clips == set()
    assert set(both.away.opens) <= {MARKER}


async def test_what_a_vault_alone_holds_comes_from_the_source_while_that_has_it(both: Sealed) -> None:
    both.nas.error = SinkUnavailable("off")
    await both.run(1)
    for path in both.house.spooled:
        path.unlink()
    both.nas.error = None
    both.house.clock.advance(timedelta(days=1).total_seconds() + 1)
    report = await both.run(1)
    assert both.nas.clips == {film(1)}
    assert both.away.films == [film(1)], "the vault has it, and is given nothing"
    assert troubles(report) == ""


# --- no room


@pytest.fixture
def small_disk(both: Sealed, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the spool's disk one that is full once it holds so many bytes."""

    def make(size: int) -> None:
        def require(folder: Path, room: int) -> None:
            held = 0
            for path in folder.iterdir():
                with suppress(FileNotFoundError):
                    held += path.stat().st_size
            if held >= size:
                raise SpoolFull("only 0 MB are free")

        monkeypatch.setattr(spooling, "_require_room", require)

    return make


async def test_a_dead_sink_fills_the_spool_and_fetching_goes_on_all_the_same(
    both: Sealed, small_disk: Callable[[int], None]
) -> None:
    both.house.sinks[NAS] = Gone()
    small_disk(len(film(1)) * 12)
    report = await both.run(*range(60), in_flight=2)
    assert both.away.films == films(*range(60))
    assert report.sinks[AWAY].stored == 60
    assert "MB are free" not in troubles(report)


async def test_so_many_clips_that_wait_for_a_dead_sink_make_room_for_new_ones(
    both: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "_MOST_SPOOLED", 10)
    both.nas.error = SinkUnavailable("off")
    report = await both.run(*range(50), in_flight=2)
    assert both.away.films == films(*range(50))
    assert "so many clips wait" not in troubles(report)
    assert len(both.house.spooled) < 30
    both.nas.error = None
    await both.run()
    assert len(both.nas.clips) >= 1, "what is still there comes to it"


async def test_what_no_sink_has_makes_room_for_nobody(both: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "_MOST_SPOOLED", 4)
    both.nas.error = both.away.error = CopyDiffers("it is broken")
    await both.run(*range(4), in_flight=1)
    kept = sorted(path.name for path in both.house.spooled if not path.name.endswith(".age"))
    report = await both.run(*range(9), in_flight=1)
    assert "so many clips wait in the spool" in troubles(report)
    assert sorted(path.name for path in both.house.spooled if not path.name.endswith(".age")) == kept
    both.nas.error = both.away.error = None
    for _ in range(2):  # what waits goes first
        await both.run(*range(9))
    assert both.away.films == films(*range(9))


async def test_a_vault_that_takes_no_clip_does_not_fill_the_disk(both: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "_MOST_SPOOLED", 12)
    both.away.error = CopyDiffers("it is broken")
    for first in range(0, 40, 4):
        await both.run(*range(first, first + 4))
        assert len(both.house.spooled) <= 12 + 4
    assert both.nas.clips == {film(n) for n in range(40)}


async def test_encrypting_makes_room_as_fetching_does(both: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    both.nas.error = SinkUnavailable("off")
    await both.run(1)
    assert len(both.house.spooled) == 1
    sealing = spooling._sealing

    def full(content: Content, *more: Any) -> Content:
        if len([path for path in both.house.spooled if not path.name.endswith(".age")]) > 1:
            raise SpoolFull("only 0 MB are free")
        return sealing(content, *more)

    monkeypatch.setattr(spooling, "_sealing", full)
    report = await both.run(2)
    assert both.away.films == films(1, 2)
    assert report.sinks[AWAY].failed == 0


async def test_feeding_makes_room_as_fetching_does(both: Sealed, small_disk: Callable[[int], None]) -> None:
    third = both.house.sinks["third"] = Plain()
    both.away.error = third.error = SinkUnavailable("off")
    await both.run(1, 2)
    for path in both.house.spooled:
        path.unlink()
    both.away.error, both.nas.error = None, SinkUnavailable("off")
    del both.house.sinks["third"]
    await both.run(*range(10, 20), in_flight=1)
    assert len([path for path in both.house.spooled if not path.name.endswith(".age")]) == 10
    third.error = None
    both.house.sinks = {AWAY: both.away, NAS: both.nas, "third": third}
    small_disk(len(film(1)) * 10)
    await both.run(ask=Ask(until=clip(10).recorded_at))  # the ten that fill the disk are not on their way
    assert third.clips == {film(1), film(2)}


# --- what is told


async def test_what_only_vaults_hold_is_told_of_a_sink_that_lacks_it(both: Sealed) -> None:
    both.nas.error = SinkUnavailable("off")
    await both.run(1, 2)
    for path in both.house.spooled:
        path.unlink()
    both.nas.error = None
    report = await both.run(3)
    assert "sink nas: it lacks 2 clips that the archive holds only encrypted" in troubles(report)
    assert "run --identity FILE" in troubles(report)
    assert "sink away" not in troubles(report)


async def test_it_is_not_told_of_what_is_in_the_spool(both: Sealed) -> None:
    both.nas.error = CopyDiffers("it is broken")  # the sink itself is there
    report = await both.run(1)
    assert report.sinks[NAS].failed == 1
    assert "only encrypted" not in troubles(report)
    assert "only encrypted" not in troubles(await both.run())


async def test_it_is_not_told_of_what_another_run_is_bringing(both: Sealed) -> None:
    both.nas.error = SinkUnavailable("off")
    await both.run(1)
    for path in both.house.spooled:
        path.unlink()
    both.nas.error = None
    both.house.in_hand.add(clip(1).id)
    assert "only encrypted" not in troubles(await both.run())


async def test_it_is_not_told_of_what_a_sink_that_is_not_in_the_run_can_give(both: Sealed) -> None:
    await both.run(1)
    third = both.house.sinks["third"] = MemorySink()
    report = await both.run(ask=Ask(sinks=(AWAY, SinkName("third"))))
    assert third.clips == set()
    assert "only encrypted" not in troubles(report)
    await both.run()
    assert third.clips == {film(1)}


async def test_it_is_not_told_of_a_sink_that_is_away(both: Sealed) -> None:
    await both.run(1)
    both.house.sinks = {AWAY: both.away, "third": Gone()}
    async with both.house.index() as index:
        await index.lost(clip(1).id, NAS, "gone")
    report = await both.run()
    assert "only encrypted" not in troubles(report)


# --- for whom, and no more for anybody


async def test_a_vault_whose_recipients_are_gone_from_the_config_is_given_nothing(alone: Sealed) -> None:
    await alone.run(1)
    held = dict(alone.away.objects)
    alone.house.encrypt = {}
    for _ in range(2):
        report = await alone.run(1, 2)
        assert alone.away.objects == held
        assert report.total.stored == 0
    async with alone.house.index() as index:
        assert await index.recipients() == {AWAY: tuple(PUBLIC[:2])}


async def test_also_under_another_name(alone: Sealed) -> None:
    await alone.run(1)
    held = dict(alone.away.objects)
    alone.house.encrypt, alone.house.sinks = {}, {"garage": alone.away}
    await alone.run(1, 2)
    assert alone.away.objects == held


async def test_the_owner_may_say_that_nothing_is_encrypted_any_more(alone: Sealed) -> None:
    await alone.run(1)
    sink = MemorySink()
    sink.objects = alone.away.objects
    alone.house.sinks = {AWAY: sink}
    alone.house.encrypt = {AWAY: False}
    await alone.run(1, 2)
    assert sink.clips == {film(2)}
    alone.house.encrypt = {}
    await alone.run(1, 2, 3)
    assert sink.clips == {film(2), film(3)}, "it was said once"


async def test_a_sink_that_is_encrypted_from_now_on_keeps_what_it_has_and_can_give_it(tmp_path: Path) -> None:
    sink, third = MemorySink(), MemorySink()
    house = House(tmp_path, sinks={AWAY: sink})
    await house.run(Listing(found(1)))
    house.encrypt = {AWAY: PUBLIC[:2]}
    house.sinks["third"] = third
    await house.run(Listing(found(1), found(2)))
    assert sink.clips == {film(1)}
    assert third.clips == {film(1), film(2)}
    [sealed] = [data for key, data in sink.objects.items() if key.endswith(".age") and not key.startswith("catalog/")]
    assert plain(sealed) == film(2)
    async with house.index() as index:
        assert await index.in_clear(AWAY) == 1


async def test_new_recipients_are_for_what_comes_from_now_on(alone: Sealed) -> None:
    await alone.run(1)
    held = dict(alone.away.objects)
    alone.house.encrypt = {AWAY: PUBLIC[1:]}
    await alone.run(1, 2)
    assert held.items() <= alone.away.objects.items()
    [new] = [alone.away.objects[key] for key in alone.away.objects.keys() - held.keys() if not key.startswith("catalog/")]
    assert plain(new, KEYS[2]) == film(2)
    with pytest.raises(pyrage.DecryptError):
        plain(new, KEYS[0])
    async with alone.house.index() as index:
        assert await index.recipients() == {AWAY: tuple(PUBLIC[1:])}


# --- the source, and the catalogue


async def test_a_clip_is_deleted_at_its_source_for_its_own_size_and_not_for_that_of_its_encryption(alone: Sealed) -> None:
    deleted: list[int] = []
    sizes: dict[int, int] = {1: len(film(1)), 2: len(film(2)) + 1}

    def refs() -> Listing:
        def of(number: int) -> ClipRef:
            async def delete() -> None:
                deleted.append(number)

            return replace(found(number), delete=delete, fits=lambda size: size == sizes[number])

        return Listing(of(1), of(2))

    alone.house.rules = {SourceName.CLOUD: Rule()}
    await alone.house.run(refs())
    alone.house.clock.advance(8 * 86400)
    report = await alone.house.run(refs())
    assert deleted == [1]
    assert "of another size" in troubles(report)


async def test_a_copy_that_a_vault_has_lost_keeps_the_clip_at_its_source_and_is_made_anew(alone: Sealed) -> None:
    deleted: list[int] = []

    async def delete() -> None:
        deleted.append(1)

    alone.house.rules = {SourceName.CLOUD: Rule()}
    listing = Listing(replace(found(1), delete=delete))
    await alone.house.run(listing)
    [key] = [key for key in alone.away.objects if key != MARKER and not key.startswith("catalog/")]
    del alone.away.objects[key]
    alone.house.clock.advance(8 * 86400)
    await alone.house.run(listing)
    assert deleted == []
    await alone.house.run(listing)
    assert alone.away.films == [film(1)]
    async with alone.house.index() as index:
        [standing] = await index.standings([clip(1).id], [AWAY])
    assert standing.held[0].plain is not None


async def test_the_catalogue_is_encrypted_and_tells_what_is_what(alone: Sealed) -> None:
    await alone.run(1, 2)
    [(key, data)] = [(key, data) for key, data in alone.away.objects.items() if key.startswith("catalog/")]
    assert key.endswith(".jsonl.age")
    lines = [json.loads(line) for line in plain(data, KEYS[1]).splitlines()]
    assert {line["id"] for line in lines} == {clip(1).id, clip(2).id}
    for line in lines:
        stored = alone.away.objects[Key(line["key"])]
        assert (line["size"], line["sha256"]) == (len(stored), hashlib.sha256(stored).hexdigest())
        film = plain(stored)
        assert (line["plain_size"], line["plain_sha256"]) == (len(film), hashlib.sha256(film).hexdigest())


async def test_the_catalogue_of_a_plain_sink_says_nothing_of_encryption(both: Sealed) -> None:
    await both.run(1)
    [data] = [data for key, data in both.nas.objects.items() if key.startswith("catalog/")]
    assert "plain_sha256" not in json.loads(data)
