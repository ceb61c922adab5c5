"""What the index knows of encryption: for whom, what each encrypted copy is of, and who can give a clip to whom."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from blinkarchive.clock import ManualClock
from blinkarchive.files import Files
from blinkarchive.index import Index, schema
from blinkarchive.index.opening import open_engine
from blinkarchive.model import Clip, Copy, Key, Plain, SinkName
from tests.index.facts import CLOUD, NAS, THIRD, clip, copy, name

MIGRATIONS = Path(schema.__file__).parent / "migrations"
PLAIN = Plain(size=1000, sha256="cd" * 32)
ALL = (NAS, CLOUD, THIRD)


def sealed(one: Clip, sink: SinkName, **facts: Any) -> Copy:
    return copy(one, sink, **({"key": Key(f"ab/{one.id}.age"), "size": 1300, "plain": PLAIN} | facts))


async def take_in(index: Index, *numbers: int) -> None:
    await index.lacking([clip(number) for number in numbers], ALL, name)


# For whom


async def test_whom_a_sink_is_encrypted_for_is_kept_until_it_is_said_anew(index: Index) -> None:
    assert await index.recipients() == {}
    await index.keep_recipients(NAS, ["age1a", 'ssh-rsa "b" c'])
    await index.keep_recipients(CLOUD, ["age1c"])
    assert await index.recipients() == {NAS: ("age1a", 'ssh-rsa "b" c'), CLOUD: ("age1c",)}
    await index.keep_recipients(NAS, ["age1d"])
    await index.keep_recipients(CLOUD, [])
    assert await index.recipients() == {NAS: ("age1d",), CLOUD: ()}


async def test_it_goes_with_a_sink_that_has_a_new_name(index: Index) -> None:
    """Or a new name in the config would be a way to put clips there in clear."""
    await index.keep_sink_id(NAS, "an-id")
    await index.keep_recipients(NAS, ["age1a"])
    await index.keep_recipients(THIRD, ["age1z"])
    await index.rename_sink(NAS, THIRD)
    assert await index.recipients() == {THIRD: ("age1a",)}


async def test_it_is_there_after_closing_and_so_is_the_secret(path: Path, clock: ManualClock) -> None:
    async with Index.open(path, clock=clock) as index:
        await index.keep_recipients(NAS, ["age1a"])
        secret = index.secret
    async with Index.open(path, clock=clock, read_only=True) as index:
        assert await index.recipients() == {NAS: ("age1a",)}
        assert index.secret == secret


async def test_the_secret_is_long_and_each_archives_own_and_shows_nowhere(
    index: Index, tmp_path: Path, clock: ManualClock
) -> None:
    async with Index.open(tmp_path / "other", clock=clock) as other:
        secrets = {index.secret.reveal(), other.secret.reveal()}
    assert len(secrets) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets)
    assert index.secret.reveal() not in f"{index.secret}{index.secret!r}"


# What an encrypted copy is


async def test_an_encrypted_copy_comes_back_with_what_it_is_of(index: Index) -> None:
    await take_in(index, 1)
    await index.record(sealed(clip(1), NAS))
    await index.record(copy(clip(1), CLOUD))
    [standing] = await index.standings([clip(1).id], [NAS, CLOUD])
    assert set(standing.held) == {sealed(clip(1), NAS), copy(clip(1), CLOUD)}
    assert (await anext(index.clips([NAS]))).held == (sealed(clip(1), NAS),)
    assert await index.uncatalogued(NAS, limit=9) == [(clip(1), sealed(clip(1), NAS))]
    assert (await index.summary([NAS])).sinks[0].bytes == 1300, "what the sink holds"


@pytest.mark.parametrize(
    "other", [{"plain": None}, {"plain": Plain(size=999, sha256="cd" * 32)}, {"plain": Plain(size=1000, sha256="ef" * 32)}]
)
async def test_a_copy_of_something_else_takes_its_place_and_is_catalogued_anew(index: Index, other: dict[str, Any]) -> None:
    await take_in(index, 1)
    await index.record(sealed(clip(1), NAS))
    await index.catalogued(NAS, [clip(1).id], Key("catalog/1.jsonl.age"))
    await index.record(sealed(clip(1), NAS))
    assert await index.uncatalogued(NAS, limit=9) == [], "the same again is nothing new"
    await index.record(sealed(clip(1), NAS, **other))
    assert await index.uncatalogued(NAS, limit=9) == [(clip(1), sealed(clip(1), NAS, **other))]


async def test_a_lost_copy_is_of_nothing_any_more(index: Index) -> None:
    await take_in(index, 1)
    await index.record(sealed(clip(1), NAS))
    await index.lost(clip(1).id, NAS, "gone")
    assert await index.sealed_away(ALL) == {}
    await index.record(copy(clip(1), NAS))
    [standing] = await index.standings([clip(1).id], [NAS])
    assert standing.held == (copy(clip(1), NAS),)


async def test_a_deletion_keeps_what_was_verified_and_no_other_is_good_for_it(index: Index) -> None:
    await take_in(index, 1)
    await index.record(sealed(clip(1), NAS))
    assert not await index.intend(clip(1).id, [sealed(clip(1), NAS, plain=None)])
    assert not await index.intend(clip(1).id, [sealed(clip(1), NAS, plain=Plain(size=1, sha256="cd" * 32))])
    assert await index.intend(clip(1).id, [sealed(clip(1), NAS)])
    [deletion] = [one async for one in index.deletions()]
    assert deletion.copies == (sealed(clip(1), NAS),)


async def test_how_much_a_sink_holds_in_clear_is_known(index: Index) -> None:
    await take_in(index, 1, 2, 3, 4)
    assert await index.in_clear(NAS) == 0
    await index.record(copy(clip(1), NAS))
    await index.record(copy(clip(2), NAS))
    await index.record(sealed(clip(3), NAS))
    await index.record(copy(clip(3), CLOUD))
    await index.lost(clip(2).id, NAS, "gone")
    assert (await index.in_clear(NAS), await index.in_clear(CLOUD), await index.in_clear(THIRD)) == (1, 1, 0)


# Who can give it


async def test_only_who_holds_a_clip_as_it_is_feeds_another(index: Index) -> None:
    await take_in(index, 1, 2, 3)
    await index.record(sealed(clip(1), NAS))
    await index.record(sealed(clip(2), NAS))
    await index.record(copy(clip(2), CLOUD))
    await index.record(copy(clip(3), NAS))
    backlog = await index.backlog(ALL)
    assert [standing.clip for standing in backlog] == [clip(2), clip(3)]
    assert {one.plain for one in backlog[0].held} == {PLAIN, None}, "the encrypted copy counts as held"
    assert await index.backlog([NAS, THIRD]) == await index.standings([clip(3).id], [NAS, THIRD])
    assert await index.backlog([CLOUD, NAS], after=clip(2).id) == await index.standings([clip(3).id], [CLOUD, NAS])


async def test_what_some_sink_holds_is_not_its_sources_alone_encrypted_or_not(index: Index) -> None:
    await take_in(index, 1, 2)
    await index.record(sealed(clip(1), NAS))
    unstored = await index.unstored("home", clip(1).source, ALL)
    assert [id_ for id_, _ in unstored] == [clip(2).id]


async def test_what_is_held_only_encrypted_is_counted_for_each_sink_that_lacks_it(index: Index) -> None:
    await take_in(index, *range(6))
    await index.record(sealed(clip(0), NAS))
    await index.record(sealed(clip(1), NAS))
    await index.record(sealed(clip(1), CLOUD))
    await index.record(sealed(clip(2), NAS))
    await index.record(copy(clip(2), CLOUD))
    await index.record(copy(clip(3), NAS))
    await index.record(sealed(clip(4), NAS))
    await index.exclude(clip(4).id, CLOUD, "not wanted")
    assert await index.sealed_away(ALL) == {CLOUD: 1, THIRD: 3}
    assert await index.sealed_away([NAS]) == {}
    assert await index.sealed_away([CLOUD]) == {CLOUD: 1}
    assert await index.sealed_away([]) == {}


async def test_a_sink_that_was_not_asked_about_has_a_clip_as_it_is_all_the_same(index: Index) -> None:
    await take_in(index, 1)
    await index.record(sealed(clip(1), NAS))
    await index.record(copy(clip(1), CLOUD))
    assert await index.sealed_away([NAS, THIRD]) == {}


async def test_what_is_on_its_way_may_be_left_out(index: Index) -> None:
    await take_in(index, *range(5))
    await asyncio.gather(*(index.record(sealed(clip(number), NAS)) for number in range(5)))
    unknown = [clip(number).id for number in range(100, 40_000)]
    assert await index.sealed_away([CLOUD], but=[clip(1).id, clip(3).id, *unknown]) == {CLOUD: 3}
    assert await index.sealed_away([CLOUD], but=[clip(number).id for number in range(5)]) == {}


# An older index


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_an_index_from_before_gets_a_secret_and_its_copies_are_in_clear(
    engine: str, tmp_path: Path, clock: ManualClock, request: pytest.FixtureRequest
) -> None:
    secrets = set()
    for number in range(2):
        where = str(tmp_path / f"{number}.sqlite3") if engine == "sqlite" else request.getfixturevalue("new_database")()
        older = tmp_path / f"older{number}"
        shutil.copytree(MIGRATIONS, older, ignore=shutil.ignore_patterns("v000[3-9]*", "__pycache__"))
        old = open_engine(where, clock=clock, read_only=False, files=Files(), migrations=str(older), version="0002")
        with old.begin() as connection:
            connection.execute(sa.text("INSERT INTO archive (id, made_at) VALUES ('an-id', 0)"))
            connection.execute(sa.text("INSERT INTO sink (n, name, first_seen) VALUES (1, 'nas', 0)"))
            of = "'home', 'cloud', '1', 'House', '2', 'Porch', 'pir'"
            connection.execute(sa.text(f"INSERT INTO clip VALUES (1, 'cloud:home:1', {of}, 7000000, 'key', 8000000)"))
            connection.execute(
                sa.text(
                    "INSERT INTO copy (clip, sink, recorded_at, state, tries, reason, size, sha256, stored_at) "
                    "VALUES (1, 1, 7000000, 'stored', 0, '', 5, 'ab', 9)"
                )
            )
        old.dispose()
        async with Index.open(where, clock=clock) as index:
            assert index.archive_id == "an-id"
            secrets.add(index.secret.reveal())
            assert await index.recipients() == {}
            assert await index.in_clear(NAS) == 1
            [standing] = [one async for one in index.clips([NAS])]
            assert standing.held[0].plain is None
        async with Index.open(where, clock=clock) as index:
            assert index.secret.reveal() in secrets
    assert len(secrets) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets)
