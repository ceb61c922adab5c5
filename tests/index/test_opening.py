"""How an index is found, made, refused, and brought up to date."""

from __future__ import annotations

import errno
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.schema import CreateIndex

from blinkarchive.clock import ManualClock
from blinkarchive.errors import ArchiveBusy, ArchiveError, ConfigError, IndexUnusable, NothingArchived
from blinkarchive.files import Files
from blinkarchive.index import Index, schema
from blinkarchive.index.opening import migrate, open_engine, translated
from blinkarchive.model import Clip
from tests.index.facts import CLOUD, NAS, clip, copy, name

MIGRATIONS = Path(schema.__file__).parent / "migrations"


async def fill(path: Path, clock: ManualClock, clips: int = 3) -> list[Clip]:
    """An index with some clips, the first of them stored."""
    found = [clip(number) for number in range(clips)]
    async with Index.open(path, clock=clock) as index:
        await index.lacking(found, [NAS], name)
        await index.record(copy(found[0], NAS))
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_an_index_is_its_owners_alone(index: Index, path: Path) -> None:
    await index.lacking([clip(1)], [NAS], name)
    assert mode(path.parent) == 0o700
    assert {file.name: mode(file) for file in path.parent.iterdir()} == {
        path.name: 0o600,
        f"{path.name}-wal": 0o600,
        f"{path.name}-shm": 0o600,
    }


async def test_each_index_has_an_id_of_its_own(tmp_path: Path, clock: ManualClock) -> None:
    ids = []
    for number in (1, 2, 1):
        async with Index.open(str(tmp_path / f"{number}.sqlite3"), clock=clock) as index:
            ids.append(index.archive_id)
    assert ids[0] == ids[2] != ids[1]


async def test_a_commit_is_durable_and_readers_go_on(path: Path, clock: ManualClock) -> None:
    engine = open_engine(path, clock=clock, read_only=False, files=Files())
    with engine.connect() as connection:
        settings = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


async def test_only_what_opens_an_index_pays_for_the_database(path: Path, clock: ManualClock) -> None:
    await fill(path, clock)
    program = f"""
import asyncio, sys
from blinkarchive.clock import Clock
from blinkarchive.index import Index
print("sqlalchemy" in sys.modules)
async def main():
    async with Index.open({str(path)!r}, clock=Clock()) as index:
        print("sqlalchemy" in sys.modules, "alembic" in sys.modules, "sqlalchemy.dialects.postgresql" in sys.modules)
asyncio.run(main())
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50).stdout
    assert said.split() == ["False", "True", "False", "False"]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_both_engines_keep_small_indexes_of_what_is_left_to_do(engine: str) -> None:
    dialect = sa.make_url(f"{engine}://").get_dialect()()
    indexes = schema.tables_for(engine).tables["copy"].indexes
    made = {index.name: str(CreateIndex(index).compile(dialect=dialect)) for index in indexes}
    lacking = "WHERE state IN ('pending', 'failed', 'gave up')"
    assert {name: sql[sql.index("WHERE") :] for name, sql in made.items()} == {
        "copy_lacking_by_clip": lacking,
        "copy_lacking_by_sink": lacking,
        "copy_uncatalogued": "WHERE state IN ('stored') AND catalogue IS NULL",
    }


async def test_to_read_there_must_be_something(path: Path, clock: ManualClock) -> None:
    for _ in range(2):
        with pytest.raises(NothingArchived, match="nothing has been archived yet"):
            async with Index.open(path, clock=clock, read_only=True):
                pass
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.stat().st_size == 0


async def test_an_index_that_was_only_begun_is_made_whole(path: Path, clock: ManualClock) -> None:
    path.parent.mkdir()
    path.touch()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with pytest.raises(NothingArchived):
        async with Index.open(path, clock=clock, read_only=True):
            pass
    await fill(path, clock)


@pytest.mark.parametrize(
    "address",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://host/index",
        "nonsense://x",
        "sqlite+nonsense:///x",
        "http://[",
    ],
)
async def test_an_address_that_makes_no_sense_is_an_error_of_the_config(address: str, clock: ManualClock) -> None:
    with pytest.raises(ConfigError):
        async with Index.open(address, clock=clock):
            pass


async def test_a_database_whose_driver_is_not_installed_says_what_is_missing(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match="needs the Python package psycopg"):
        async with Index.open("postgresql+psycopg://h/d", clock=clock):
            pass


async def test_a_server_that_is_not_there_is_an_error_in_words(clock: ManualClock, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="the index"):
        async with Index.open(f"postgresql+psycopg:///d?host={tmp_path}", clock=clock):
            pass


async def test_an_address_may_be_a_url(path: Path, clock: ManualClock) -> None:
    await fill(path, clock)
    async with Index.open(f"sqlite:///{path}", clock=clock, read_only=True) as index:
        assert (await index.summary([NAS])).clips == 3


async def test_a_path_may_hold_any_letters(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "50% of é?mode=rwc&x#1" / "in dex.sqlite3"
    await fill(path, clock)
    async with Index.open(path, clock=clock, read_only=True) as index:
        assert (await index.summary([NAS])).clips == 3
    assert [file.name for file in tmp_path.iterdir()] == [path.parent.name]


# What is refused


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look at" * 100, b"SQLite format 3\x00" + b"\xff" * 8000]
)
async def test_a_damaged_index_says_what_to_do(path: Path, clock: ManualClock, content: bytes, read_only: bool) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(IndexUnusable, match=r"move it aside, .* `blinkarchive run`"):
        async with Index.open(path, clock=clock, read_only=read_only):
            pass
    assert path.read_bytes() == content


async def test_random_damage_is_never_more_than_an_error_of_the_archive(path: Path, clock: ManualClock) -> None:
    clips = await fill(path, clock, clips=300)
    whole = path.read_bytes()
    chance = random.Random(1)
    unusable = 0
    for _ in range(60):
        damaged = bytearray(whole)
        start = chance.randrange(len(whole))
        match chance.randrange(3):
            case 0:
                del damaged[start:]
            case 1:
                damaged[start : start + 4096] = bytes(len(damaged[start : start + 4096]))
            case _:
                for _ in range(100):
                    damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        for file in path.parent.iterdir():
            file.unlink()
        path.write_bytes(damaged)
        try:
            async with Index.open(path, clock=clock) as index:
                await index.lacking(clips, [NAS, CLOUD], name)
                await index.record(copy(clips[5], NAS))
                [standing async for standing in index.clips([NAS])]
        except ArchiveError as error:
            unusable += isinstance(error, IndexUnusable)
    assert unusable > 10


async def test_damage_inside_is_found_by_a_check(path: Path, clock: ManualClock) -> None:
    await fill(path, clock, clips=2000)
    content = bytearray(path.read_bytes())
    content[-4096 * 4 :] = bytes(4096 * 4)
    path.write_bytes(content)
    async with Index.open(path, clock=clock) as index:
        assert await index.check() != []


async def test_an_index_of_a_newer_program_is_left_alone(path: Path, clock: ManualClock) -> None:
    await fill(path, clock)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE alembic_version SET version_num = '0999'")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    content = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(IndexUnusable, match="newer blinkarchive"):
            async with Index.open(path, clock=clock, read_only=read_only):
                pass
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_database_of_something_else_is_left_alone(path: Path, clock: ManualClock) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (id INTEGER)")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(IndexUnusable, match="no index of blinkarchive"):
        async with Index.open(path, clock=clock):
            pass
    assert path.read_bytes() == content


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveError, match="cannot be made"):
        async with Index.open(tmp_path / "file" / "index.sqlite3", clock=clock):
            pass
    with pytest.raises(ArchiveError):
        async with Index.open(tmp_path, clock=clock):
            pass


async def test_a_disk_without_room_is_said_and_what_was_recorded_stays(path: Path, clock: ManualClock) -> None:
    await fill(path, clock)

    def no_more_pages(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # that is: as many as there are

    sa.event.listen(sa.Engine, "connect", no_more_pages)
    try:
        async with Index.open(path, clock=clock) as index:
            with pytest.raises(ArchiveError, match="no room"):
                await index.lacking([clip(number) for number in range(10, 500)], [NAS], name)
            assert (await index.summary([NAS])).clips == 3
    finally:
        sa.event.remove(sa.Engine, "connect", no_more_pages)
    async with Index.open(path, clock=clock) as index:
        assert len(await index.lacking([clip(number) for number in range(500)], [NAS], name)) == 500


def test_another_writer_is_said(tmp_path: Path) -> None:
    path = tmp_path / "busy.sqlite3"
    first, second = (sqlite3.connect(path, timeout=0, isolation_level=None) for _ in range(2))
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as busy:
        second.execute("BEGIN IMMEDIATE")
    with pytest.raises(ArchiveBusy, match="another program"), translated(sa.make_url(f"sqlite:///{path}")):
        raise sa.exc.OperationalError("BEGIN IMMEDIATE", {}, busy.value)
    first.close()
    second.close()


# Bringing it up to date


async def test_the_migrations_make_the_schema_that_a_new_index_has(path: Path, clock: ManualClock) -> None:
    made = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    by_steps, at_once = sa.create_engine("sqlite://"), open_engine(path, clock=clock, read_only=False, files=Files())
    migrate(by_steps)
    tables = []
    for engine in (by_steps, at_once):
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
            assert MigrationContext.configure(connection).get_current_revision() == schema.VERSION
            found = connection.exec_driver_sql(made).all()
            tables.append([(name, _words(sql)) for name, sql in found if name != "alembic_version"])
        engine.dispose()
    assert tables[0] == tables[1]


def _words(sql: str) -> list[str]:
    return sql.replace(",", " ").split()


NEXT = f"{int(schema.VERSION) + 1:04}"
ONE_MORE = '''
"""Clips get a colour."""
import os, signal
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"

def upgrade():
    op.add_column("clip", sa.Column("colour", sa.Text))
    op.execute("UPDATE clip SET colour = 'green'")
    with op.batch_alter_table("clip") as batch:
        batch.alter_column("colour", nullable=False)
    {then}
'''


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """The migrations as they are, in a folder where one more can be put."""
    return Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))


def write_one_more(steps: Path, then: str) -> None:
    text = ONE_MORE.format(then=then, revision=NEXT, before=schema.VERSION)
    (steps / "versions" / f"v{NEXT}_colour.py").write_text(text)


def upgrade(path: Path, steps: Path, clock: ManualClock, then: str = "pass") -> None:
    """Open the index with a program that knows one more schema."""
    write_one_more(steps, then)
    open_engine(path, clock=clock, read_only=False, files=Files(), migrations=str(steps), version=NEXT).dispose()


def rows(path: Path) -> dict[str, list[object]]:
    with sqlite3.connect(path) as connection:
        tables = [table for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    connection.close()
    return found


async def test_an_older_index_is_brought_up_to_date_and_keeps_all_it_knew(path: Path, steps: Path, clock: ManualClock) -> None:
    await fill(path, clock)
    before = rows(path)
    upgrade(path, steps, clock)
    after = rows(path)
    assert after.pop("alembic_version") == [(NEXT,)]
    assert after.pop("clip") == [(*row, "green") for row in before.pop("clip")]  # type: ignore[misc]  # rows are tuples
    assert before.pop("alembic_version") == [(schema.VERSION,)]
    assert after == before


async def test_an_index_of_the_first_schema_is_brought_to_this_one(path: Path, tmp_path: Path, clock: ManualClock) -> None:
    first = shutil.copytree(MIGRATIONS, tmp_path / "first", ignore=shutil.ignore_patterns("v000[2-9]*", "__pycache__"))
    path.parent.mkdir()
    engine = sa.create_engine(f"sqlite:///{path}")
    migrate(engine, str(first))
    engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO archive VALUES ('an-id', 0)")
        of = "'home', 'cloud', '1', 'House', '2', 'Porch', 'pir'"
        connection.execute(f"INSERT INTO clip VALUES (1, 'cloud:home:1', {of}, 7000000, 'key', 8000000)")
    connection.close()
    async with Index.open(path, clock=clock) as index:
        assert index.archive_id == "an-id"
        assert [standing.clip.id async for standing in index.clips()] == ["cloud:home:1"]
        assert await index.parts() == []
    assert rows(path)["alembic_version"] == [(schema.VERSION,)]


async def test_before_that_a_copy_of_it_is_put_beside_it(path: Path, steps: Path, clock: ManualClock) -> None:
    await fill(path, clock)
    before = rows(path)
    upgrade(path, steps, clock)
    backup = path.with_name(f"{path.name}.before-{NEXT}")
    assert mode(backup) == 0o600
    assert rows(backup) == before
    shutil.copy(backup, path)
    async with Index.open(path, clock=clock) as index:
        assert await index.check() == []


async def test_an_older_index_is_not_brought_up_to_date_by_a_reader(path: Path, steps: Path, clock: ManualClock) -> None:
    await fill(path, clock)
    content = path.read_bytes()
    with pytest.raises(IndexUnusable, match="the next `blinkarchive run` brings it up to date"):
        open_engine(path, clock=clock, read_only=True, files=Files(), migrations=str(steps), version=NEXT)
    assert path.read_bytes() == content


@pytest.mark.parametrize("then", ["raise ValueError('half way')", "op.execute('DELETE FROM clip')"])
async def test_a_step_that_fails_leaves_the_index_as_it_was(path: Path, steps: Path, clock: ManualClock, then: str) -> None:
    await fill(path, clock)
    before = rows(path)
    with pytest.raises((ValueError, IndexUnusable), match=r"half way|hang loose"):
        upgrade(path, steps, clock, then)
    assert rows(path) == before
    async with Index.open(path, clock=clock) as index:
        assert (await index.summary([NAS])).sinks[0].stored == 1


async def test_a_program_that_dies_half_way_leaves_the_index_as_it_was(path: Path, steps: Path, clock: ManualClock) -> None:
    await fill(path, clock)
    before = rows(path)
    write_one_more(steps, "os.kill(os.getpid(), signal.SIGKILL)")
    program = f"""
from pathlib import Path
from blinkarchive.clock import Clock
from blinkarchive.files import Files
from blinkarchive.index.opening import open_engine
open_engine({str(path)!r}, clock=Clock(), read_only=False, files=Files(), migrations={str(steps)!r}, version={NEXT!r})
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=50)
    assert ended.returncode == -signal.SIGKILL
    assert rows(path) == before
    (path.with_name(f"{path.name}.before-{NEXT}.next")).write_text("a copy that was cut short")
    upgrade(path, steps, clock)
    assert rows(path)["alembic_version"] == [(NEXT,)]


class FullDisk(Files):
    """A file system that takes no new file."""

    def create(self, path: Path, mode: int = 0o600) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


async def test_without_room_for_the_copy_nothing_is_touched(path: Path, steps: Path, clock: ManualClock) -> None:
    await fill(path, clock)
    content = path.read_bytes()
    with pytest.raises(ArchiveError, match="no room"):
        open_engine(path, clock=clock, read_only=False, files=FullDisk(), migrations=str(steps), version=NEXT)
    assert path.read_bytes() == content
