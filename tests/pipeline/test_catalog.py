"""Catalogues come from outside: a bad line costs itself, and a large one costs time, not memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.errors import ArchiveError, CopyDiffers
from blinkarchive.model import Clip, Copy, Key, SinkName, Stored
from blinkarchive.pipeline import catalog
from blinkarchive.pipeline.lane import Lane
from blinkarchive.pipeline.listed import Listed, versions
from tests.pipeline.fakes import MemorySink, clip

NAS, AWAY = SinkName("nas"), SinkName("away")
CATALOGUE = Key("catalog/20260501T120000Z-abcd.jsonl")


def copy(one: Clip, *, sink: SinkName = NAS, sha256: str = "a" * 64) -> Copy:
    key = Key(f"porch/{one.id.rpartition(':')[2]}.mp4")
    return Copy(clip=one.id, sink=sink, key=key, size=7, sha256=sha256, stored_at=one.recorded_at)


def line(number: int, **changed: object) -> bytes:
    return json.dumps(json.loads(catalog.line(clip(number), copy(clip(number)))) | changed).encode()


BAD = {
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep in a field": line(1)[:-1] + b', "more": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "infinity": line(1).replace(b'"size": 7', b'"size": Infinity'),
    "huge number": line(1).replace(b'"size": 7', b'"size": 1e999'),
    "many digits": line(1).replace(b'"size": 7', b'"size": ' + b"9" * 5000),
    "year 1": line(1, recorded_at="0001-01-01T00:00:00+05:00"),
    "year 9999": line(1, recorded_at="9999-12-31T23:59:59-05:00"),
    "no zone": line(1, stored_at="2026-05-01T12:00:00"),
    "lone surrogate": line(1).replace(b"Porch", b"\\ud800 Porch"),
    "no UTF-8": line(1).replace(b"Porch", b"\xff\xfe"),
    "too long": line(1, camera="x" * 70_000),
    "long name": line(1, camera="x" * 3000),
    "negative size": line(1, size=-1),
    "no hash": line(1, sha256="abc"),
    "long description": line(1, description="x" * 4001),
    "many detections": line(1, detections=["x"] * 101),
    "half plain": line(1, plain_size=5),
    "out of the sink": line(1, key="../evil.mp4"),
    "null": b"null",
    "a list": b"[]",
    "no JSON": b"\x00\x01",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_a_bad_line_costs_itself_only_and_is_reported(bad: bytes) -> None:
    found, trouble = await _read(b"\n".join([line(2), bad, line(3)]) + b"\n")
    assert [one.id for one, _ in found] == [clip(2).id, clip(3).id]
    assert trouble.startswith(f"line 2 of the catalogue {CATALOGUE} cannot be understood: ")
    assert len(trouble) < 600
    trouble.encode()


async def test_many_bad_lines_are_reported_once_with_their_number() -> None:
    found, trouble = await _read(b"x\n" * 1000 + line(1))
    assert [one.id for one, _ in found] == [clip(1).id]
    assert trouble.startswith("line 1 of")
    assert trouble.endswith("nor can 999 other lines")


async def test_a_line_is_the_same_when_it_was_written_and_decoded() -> None:
    one = replace(
        clip(1), camera="Garten\u00fcr \u2028 \U0001f3a5", recorded_at=datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    )
    described = replace(one, description="A cat \U0001f408.", detections=("cat", "package"))
    for written in (one, described):
        found, trouble = await _read(catalog.line(written, copy(written)).encode())
        assert (found, trouble) == ([(written, copy(written))], "")
    assert "description" not in catalog.line(one, copy(one))


async def test_a_catalogue_that_is_longer_than_the_sink_says_is_not_read_on() -> None:
    sink = MemorySink()
    sink.objects[CATALOGUE] = line(1) + b"\n" + line(2) + b"\n"
    with pytest.raises(CopyDiffers, match="longer than"):
        await catalog.read(_lane(sink), Stored(key=CATALOGUE, size=10), None, _ignore)
    assert "not read" in await catalog.read(_lane(sink), Stored(key=CATALOGUE, size=2**40), None, _ignore)


def test_a_catalogue_of_100_mb_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """In a process of its own: the peak of this one says nothing."""
    file = tmp_path / "large.jsonl"
    with file.open("wb") as opened:
        number = 0
        while opened.tell() < 100_000_000:
            opened.write(b"".join(line_of(number + nth) for nth in range(5000)))
            number += 5000
        opened.write(b"{" * 5_000_000 + b"\n")
    done = subprocess.run([sys.executable, __file__, str(file)], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    listed, grown, trouble = json.loads(done.stdout)
    assert listed == 20_000
    assert "cannot be understood: it is longer than" in trouble
    assert grown < 40_000_000


def line_of(number: int, text: bytes = line(77)) -> bytes:
    return text.replace(b"77", b"%d" % number) + b"\n"


def test_the_decoder_raises_one_kind_of_error_only() -> None:
    for text in BAD.values():
        with pytest.raises(ArchiveError):
            catalog.decoded(NAS, text)


# One clip, as several places list it


def test_the_same_content_in_several_sinks_is_one_clip() -> None:
    found = [(clip(1), copy(clip(1), sink=sink)) for sink in (NAS, AWAY)]
    [one], contradiction = versions(found, _name)
    assert ({each.sink for each in one.held}, contradiction) == ({NAS, AWAY}, "")


def test_different_contents_of_one_clip_are_all_kept_and_what_most_sinks_list_gets_the_name() -> None:
    forged, third = copy(clip(1), sink=SinkName("evil"), sha256="b" * 64), SinkName("third")
    found = [(clip(1), forged), (clip(1), copy(clip(1))), (clip(1), copy(clip(1), sink=third))]
    standings, contradiction = versions(found, _name)
    assert [(one.key, one.held[0].sha256[0]) for one in standings] == [("1.mp4", "a"), ("1.conflict-bbbbbbbb.mp4", "b")]
    assert "2 different contents" in contradiction
    assert "nas, third / evil" in contradiction


def test_two_contents_whose_hashes_begin_alike_are_both_kept() -> None:
    hashes = ["a" * 64, "b" * 64, "b" * 63 + "c"]
    standings, _ = versions([(clip(1), copy(clip(1), sink=SinkName(f"s{sha[-1]}"), sha256=sha)) for sha in hashes], _name)
    assert len({one.key for one in standings}) == 3


def test_a_false_time_hides_no_clip() -> None:
    false = replace(clip(1), recorded_at=datetime(1999, 1, 1, tzinfo=UTC))
    standings, contradiction = versions(
        [(false, copy(clip(1), sink=AWAY)), (clip(1), copy(clip(1)))], lambda one: Key(f"{one.recorded_at:%Y}.mp4")
    )
    assert {one.clip.recorded_at.year for one in standings} == {1999, 2026}
    assert contradiction


async def test_a_sink_that_lists_one_clip_without_end_hides_no_copy_of_another() -> None:
    async with Listed.opened() as listed:
        await listed.add([(clip(1), copy(clip(1), sink=AWAY, sha256=f"{number:064x}")) for number in range(5000)])
        await listed.add([(clip(1), copy(clip(1)))])
        found = await listed.take(clip(1).id)
        assert [one.sink for _, one in found].count(AWAY) == 8
        assert NAS in {one.sink for _, one in found}
        assert [one async for one in listed.rest()] == []


def _name(one: Clip) -> Key:
    return Key(f"{one.id.rpartition(':')[2]}.mp4")


def _lane(sink: MemorySink) -> Lane:
    return Lane(NAS, sink, clock=ManualClock())


async def _ignore(page: catalog.Page) -> None:
    pass


async def _read(text: bytes) -> tuple[list[tuple[Clip, Copy]], str]:
    sink = MemorySink()
    found: list[tuple[Clip, Copy]] = []
    sink.objects[CATALOGUE] = text

    async def take(page: catalog.Page) -> None:
        found.extend(page)

    return found, await catalog.read(_lane(sink), Stored(key=CATALOGUE, size=len(text)), None, take)


if __name__ == "__main__":
    import asyncio
    import resource
    from collections.abc import AsyncIterator
    from contextlib import asynccontextmanager

    class FileSink(MemorySink):
        """Sends a file of this machine."""

        @asynccontextmanager
        async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
            async def chunks() -> AsyncIterator[bytes]:
                with Path(sys.argv[1]).open("rb") as file:
                    while chunk := file.read(1024 * 1024):
                        yield chunk

            yield chunks()

    async def measure() -> None:
        stored = Stored(key=CATALOGUE, size=Path(sys.argv[1]).stat().st_size)
        async with Listed.opened() as listed:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            trouble = await catalog.read(_lane(FileSink()), stored, None, listed.add)
            number = 0
            async for _ in listed.rest():
                if (number := number + 1) == 20_000:
                    break
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps([number, grown * (1024 if sys.platform == "linux" else 1), trouble]))

    asyncio.run(measure())
