"""Clips come back as what they were, from whatever can give them; and what is not there any more is found out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.encryption import Identities, Recipients
from blinkarchive.errors import CannotDecrypt, CopyDiffers, NoIdentity, SinkUnavailable
from blinkarchive.index import Index
from blinkarchive.model import Clip, Copy, Key, Plain, SinkName, Standing, Stored
from blinkarchive.pipeline.lane import MARKER, Lane
from blinkarchive.pipeline.proof import Depth
from blinkarchive.pipeline.restoring import Restored, Restoring
from blinkarchive.pipeline.verifying import Verifying
from blinkarchive.pipeline.way_back import clip_of
from tests.pipeline.fakes import MemorySink, clip, film

NAS, AWAY = SinkName("nas"), SinkName("away")


class Counting(MemorySink):
    """Counts what is read, and does not know hashes."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[Key] = []
        self.objects[MARKER] = b'{"blinkarchive sink": "one"}'

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        self.read.append(key)
        async with super().open(key, start) as chunks:
            yield chunks


def lane(name: SinkName, sink: MemorySink) -> Lane:
    return Lane(name, sink, clock=ManualClock())


def name(one: Clip) -> Key:
    return Key(f"porch/{one.id.rpartition(':')[2]}.mp4")


def plain_copy(one: Clip, sink: SinkName, data: bytes) -> Copy:
    sha256 = hashlib.sha256(data).hexdigest()
    return Copy(clip=one.id, sink=sink, key=name(one), size=len(data), sha256=sha256, stored_at=one.recorded_at)


def sealed_copy(one: Clip, sink: MemorySink, data: bytes, keys: Sequence[pyrage.x25519.Identity]) -> Copy:
    """Encrypt a clip into a sink."""
    pieces: list[bytes] = []
    recipients = Recipients([str(key.to_public()) for key in keys])
    recipients.encrypt(_Bytes(data), pieces.append)
    sealed, key = b"".join(pieces), Key(f"ab/{one.id[-1]}.age")
    sink.objects[key] = sealed
    return Copy(
        clip=one.id,
        sink=AWAY,
        key=key,
        size=len(sealed),
        sha256=hashlib.sha256(sealed).hexdigest(),
        stored_at=one.recorded_at,
        plain=plain_of(data),
    )


def plain_of(data: bytes) -> Plain:
    return Plain(size=len(data), sha256=hashlib.sha256(data).hexdigest())


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.left = data

    def read(self, size: int) -> bytes:
        piece, self.left = self.left[:size], self.left[size:]
        return piece


@pytest.fixture
def key() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def identities(tmp_path: Path, key: pyrage.x25519.Identity) -> Identities:
    return held(tmp_path / "key", key)


def held(file: Path, key: pyrage.x25519.Identity) -> Identities:
    file.write_text(f"{key}\n")
    return Identities([file], lambda _: "")


async def bytes_of(way: AbstractAsyncContextManager[object]) -> bytes:
    async with way as body:
        return b"".join([chunk async for chunk in body.chunks])  # type: ignore[attr-defined]


async def of(*standings: Standing) -> AsyncIterator[Standing]:
    for standing in standings:
        yield standing


def standing(one: Clip, *copies: Copy) -> Standing:
    return Standing(clip=one, key=name(one), held=copies)


# One clip


async def test_a_clip_comes_back_as_it_was(tmp_path: Path) -> None:
    nas = Counting()
    nas.objects[name(clip(1))] = film(1)
    assert await bytes_of(clip_of(lane(NAS, nas), plain_copy(clip(1), NAS, film(1)), None, tmp_path)) == film(1)


@pytest.mark.parametrize("stored", [film(2), film(1)[:-1], film(1) + b"x", b""])
async def test_other_bytes_are_never_given_to_their_end(tmp_path: Path, stored: bytes) -> None:
    nas = Counting()
    nas.objects[name(clip(1))] = stored
    given = b""
    with pytest.raises(CopyDiffers, match="is not what was stored there"):
        async with clip_of(lane(NAS, nas), plain_copy(clip(1), NAS, film(1)), None, tmp_path) as body:
            async for chunk in body.chunks:
                given += chunk
    assert len(given) < len(film(1))


async def test_an_encrypted_clip_comes_back_to_who_has_a_key_and_leaves_nothing_behind(
    tmp_path: Path, key: pyrage.x25519.Identity, identities: Identities
) -> None:
    away, folder = Counting(), tmp_path / "folder"
    folder.mkdir()
    copy = sealed_copy(clip(1), away, film(1), [key])
    assert await bytes_of(clip_of(lane(AWAY, away), copy, identities, folder)) == film(1)
    with pytest.raises(NoIdentity, match="--identity FILE"):
        await bytes_of(clip_of(lane(AWAY, away), copy, None, folder))
    with pytest.raises(CannotDecrypt, match="none of the identities"):
        await bytes_of(clip_of(lane(AWAY, away), copy, held(tmp_path / "other", pyrage.x25519.Identity.generate()), folder))
    assert not list(folder.iterdir())


async def test_an_object_that_somebody_put_in_the_place_of_another_is_not_taken_for_it(
    tmp_path: Path, key: pyrage.x25519.Identity, identities: Identities
) -> None:
    away = Counting()
    first, second = sealed_copy(clip(1), away, film(1), [key]), sealed_copy(clip(2), away, film(2), [key])
    away.objects[first.key] = away.objects[second.key]
    with pytest.raises(CopyDiffers, match="is not what was stored there"):
        await bytes_of(clip_of(lane(AWAY, away), first, identities, tmp_path))


async def test_what_opens_and_is_another_clip_is_not_given(
    tmp_path: Path, key: pyrage.x25519.Identity, identities: Identities
) -> None:
    away = Counting()
    copy = sealed_copy(clip(1), away, film(2), [key])
    wrong = replace(copy, plain=plain_of(film(1)))
    with pytest.raises(CopyDiffers, match="is not the clip that was archived"):
        await bytes_of(clip_of(lane(AWAY, away), wrong, identities, tmp_path))


# Restoring


async def test_clips_get_the_names_they_have_in_the_archive(tmp_path: Path) -> None:
    nas, done = Counting(), Restored()
    for number in (1, 2, 3):
        nas.objects[name(clip(number))] = film(number)
    wanted = [standing(clip(n), plain_copy(clip(n), NAS, film(n))) for n in (1, 2, 3)]
    await Restoring({NAS: lane(NAS, nas)}, tmp_path, None, done).bring(of(*wanted))
    assert {file.relative_to(tmp_path).as_posix(): file.read_bytes() for file in tmp_path.rglob("*.mp4")} == {
        f"porch/{n}.mp4": film(n) for n in (1, 2, 3)
    }
    assert (done.restored, done.size, done.failed, done.troubles) == (3, sum(len(film(n)) for n in (1, 2, 3)), 0, [])


async def test_what_is_there_is_left_alone_whether_it_is_the_clip_or_not(tmp_path: Path) -> None:
    nas, done = Counting(), Restored()
    (tmp_path / "porch").mkdir()
    for number in (1, 2):
        nas.objects[name(clip(number))] = film(number)
    (tmp_path / "porch" / "1.mp4").write_bytes(film(1))
    (tmp_path / "porch" / "2.mp4").write_bytes(bytes(len(film(2))))
    wanted = [standing(clip(n), plain_copy(clip(n), NAS, film(n))) for n in (1, 2)]
    await Restoring({NAS: lane(NAS, nas)}, tmp_path, None, done).bring(of(*wanted))
    assert (done.there, done.restored, done.failed) == (1, 0, 1)
    assert (tmp_path / "porch" / "2.mp4").read_bytes() == bytes(len(film(2)))
    assert "with other bytes" in done.troubles[0].what
    assert name(clip(1)) not in nas.read


async def test_a_sink_that_cannot_give_a_clip_is_passed_over_for_one_that_can(
    tmp_path: Path, key: pyrage.x25519.Identity, identities: Identities
) -> None:
    nas, away, done = Counting(), Counting(), Restored()
    nas.objects[name(clip(1))] = film(9)
    wanted = standing(clip(1), sealed_copy(clip(1), away, film(1), [key]), plain_copy(clip(1), NAS, film(1)))
    lanes = {NAS: lane(NAS, nas), AWAY: lane(AWAY, away)}
    await Restoring(lanes, tmp_path, identities, done).bring(of(wanted))
    assert (tmp_path / "porch" / "1.mp4").read_bytes() == film(1)
    assert (done.restored, done.failed) == (1, 0)


async def test_what_needs_no_key_is_taken_first(tmp_path: Path, key: pyrage.x25519.Identity, identities: Identities) -> None:
    nas, away, done = Counting(), Counting(), Restored()
    nas.objects[name(clip(1))] = film(1)
    wanted = standing(clip(1), sealed_copy(clip(1), away, film(1), [key]), plain_copy(clip(1), NAS, film(1)))
    await Restoring({AWAY: lane(AWAY, away), NAS: lane(NAS, nas)}, tmp_path, identities, done).bring(of(wanted))
    assert (done.restored, done.failed, away.read) == (1, 0, [])


async def test_no_clip_that_fails_is_passed_over_in_silence(tmp_path: Path, key: pyrage.x25519.Identity) -> None:
    nas, away, done = Counting(), Counting(), Restored()
    lanes = {NAS: lane(NAS, nas), AWAY: lane(AWAY, away)}
    lanes[NAS].close("its disk is not mounted")
    wanted = [
        standing(clip(1), plain_copy(clip(1), NAS, film(1))),
        standing(clip(2), sealed_copy(clip(2), away, film(2), [key])),
        standing(clip(3)),
        standing(clip(4), plain_copy(clip(4), SinkName("elsewhere"), film(4))),
    ]
    await Restoring(lanes, tmp_path, None, done).bring(of(*wanted))
    assert (done.restored, done.there, done.failed, done.not_held) == (0, 0, 2, 2)
    told = {trouble.where: trouble.what for trouble in done.troubles}
    assert told == {"sink nas": "its disk is not mounted", "sink away": str(NoIdentity())}
    assert not list(tmp_path.rglob("*.mp4"))


async def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    nas, done = Counting(), Restored()
    nas.objects[name(clip(1))] = film(1)
    evil = Standing(clip=clip(1), key=Key("../evil.mp4"), held=(plain_copy(clip(1), NAS, film(1)),))
    (tmp_path / "folder").mkdir()
    await Restoring({NAS: lane(NAS, nas)}, tmp_path / "folder", None, done).bring(of(evil))
    assert (done.failed, done.restored) == (1, 0)
    assert not (tmp_path / "evil.mp4").exists()


@pytest.mark.parametrize("what", ["folder", "file", "dangling file"])
async def test_a_symbolic_link_in_the_target_is_not_followed(tmp_path: Path, what: str) -> None:
    nas, done = Counting(), Restored()
    nas.objects[name(clip(1))] = film(1)
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    if what == "folder":
        (target / "porch").symlink_to(outside)
    else:
        (target / "porch").mkdir()
        (target / "porch" / "1.mp4").symlink_to(outside / "1.mp4")
        if what == "file":
            (outside / "1.mp4").write_bytes(film(1))
    before = sorted(outside.iterdir())
    await Restoring({NAS: lane(NAS, nas)}, target, None, done).bring(of(standing(clip(1), plain_copy(clip(1), NAS, film(1)))))
    assert (done.restored, done.there, done.failed, sorted(outside.iterdir())) == (0, 0, 1, before)
    assert "is a symbolic link" in done.troubles[0].what


# Verifying


@asynccontextmanager
async def archived(folder: Path, sink: MemorySink, *numbers: int) -> AsyncIterator[Index]:
    """An index that says of these clips that the sink holds them; it does, at first."""
    async with Index.open(folder / "index.sqlite3", clock=ManualClock()) as index:
        clips = [clip(number) for number in numbers]
        await index.lacking(clips, [NAS], name)
        await index.keep_sink_id(NAS, "one")
        for number in numbers:
            sink.objects[name(clip(number))] = film(number)
            await index.record(plain_copy(clip(number), NAS, film(number)))
        yield index


async def test_a_copy_that_is_lost_counts_as_lacking_from_then_on(tmp_path: Path) -> None:
    nas = Counting()
    async with archived(tmp_path, nas, 1, 2, 3) as index:
        del nas.objects[name(clip(1))]
        nas.objects[name(clip(2))] = film(2)[:-1]
        looking = Verifying(lane(NAS, nas), index, share=0, folder=tmp_path)
        await looking.look(index.clips([NAS]))
        assert (looking.found.copies, looking.found.sound, looking.found.unknown) == (3, 1, 0)
        assert (looking.found.lost, looking.found.damaged) == ([name(clip(1))], [name(clip(2))])
        assert [one.clip.id for one in await index.pending([NAS])] == [clip(1).id, clip(2).id]


class Unknowing(Counting):
    """Cannot tell a hash."""

    async def stat(self, key: Key) -> Stored | None:
        found = await super().stat(key)
        return found and Stored(key=key, size=found.size)


async def test_only_what_is_to_be_read_back_is_read_back(tmp_path: Path) -> None:
    nas = Unknowing()
    async with archived(tmp_path, nas, 1, 2) as index:
        turned = bytearray(film(1))
        turned[-1] ^= 1
        nas.objects[name(clip(1))] = bytes(turned)
        quick = Verifying(lane(NAS, nas), index, share=0, folder=tmp_path)
        await quick.look(index.clips([NAS]))
        assert (quick.found.sound, quick.found.sized, quick.found.read, nas.read) == (2, 2, 0, [])
        full = Verifying(lane(NAS, nas), index, share=1, folder=tmp_path)
        await full.look(index.clips([NAS]))
        assert (full.found.sound, full.found.read, full.found.damaged) == (1, 1, [name(clip(1))])


async def test_a_full_look_does_not_believe_the_sinks_word_for_its_hash(tmp_path: Path) -> None:
    class Remembering(Counting):
        """Tells of what it was given, not of what it has."""

        async def stat(self, key: Key) -> Stored | None:
            found = await super().stat(key)
            return found and Stored(key=key, size=found.size, sha256=hashlib.sha256(film(1)).hexdigest())

    nas = Remembering()
    async with archived(tmp_path, nas, 1) as index:
        turned = bytearray(film(1))
        turned[-1] ^= 1
        nas.objects[name(clip(1))] = bytes(turned)
        assert await lane(NAS, nas).verify(plain_copy(clip(1), NAS, film(1)), index, Depth.PROVE)
        looking = Verifying(lane(NAS, nas), index, share=1, folder=tmp_path)
        await looking.look(index.clips([NAS]))
        assert looking.found.damaged == [name(clip(1))]


async def test_a_sample_is_that_share(tmp_path: Path) -> None:
    nas = Counting()
    async with archived(tmp_path, nas, *range(1, 9)) as index:
        chances = iter([0.1, 0.9, 0.24, 0.25, 0.5, 0.0, 0.99, 0.2])
        looking = Verifying(lane(NAS, nas), index, share=0.25, folder=tmp_path, chance=lambda: next(chances))
        await looking.look(index.clips([NAS]))
        assert (looking.found.sound, looking.found.hashed, looking.found.read) == (8, 4, 4)


async def test_from_a_sink_that_is_away_or_another_one_nothing_is_concluded(tmp_path: Path) -> None:
    class Away(Counting):
        async def stat(self, key: Key) -> Stored | None:
            raise SinkUnavailable("no route to host")

    class Emptied(Counting):
        """Its disk is not mounted any more."""

        async def stat(self, key: Key) -> Stored | None:
            self.objects.clear()
            return None

    for nas in (Away(), Emptied()):
        folder = tmp_path / type(nas).__name__
        folder.mkdir()
        async with archived(folder, nas, 1, 2) as index:
            looking = Verifying(lane(NAS, nas), index, share=1, folder=folder)
            await looking.look(index.clips([NAS]))
            assert (looking.found.sound, looking.found.lost, looking.found.unknown) == (0, [], 2)
            assert looking.found.troubles
            assert await index.pending([NAS]) == []


async def test_an_encrypted_copy_is_opened_and_one_that_is_for_others_is_not_lost(
    tmp_path: Path, key: pyrage.x25519.Identity, identities: Identities
) -> None:
    away = Unknowing()
    async with Index.open(tmp_path / "index.sqlite3", clock=ManualClock()) as index:
        await index.lacking([clip(1), clip(2)], [AWAY], name)
        await index.keep_sink_id(AWAY, "one")
        for number, owner in ((1, key), (2, pyrage.x25519.Identity.generate())):
            await index.record(sealed_copy(clip(number), away, film(number), [owner]))
        looking = Verifying(lane(AWAY, away), index, share=1, identities=identities, folder=tmp_path)
        await looking.look(index.clips([AWAY]))
        assert (looking.found.sound, looking.found.decrypted, looking.found.unknown, looking.found.lost) == (1, 1, 1, [])
        assert "none of the identities" in looking.found.troubles[0]
        [sealed] = [key for key in away.objects if key.endswith("1.age")]
        away.objects[sealed] = away.objects[sealed][:-1] + b"?"
        again = Verifying(lane(AWAY, away), index, share=1, identities=identities, folder=tmp_path)
        await again.look(index.clips([AWAY]))
        assert again.found.damaged == [sealed]
