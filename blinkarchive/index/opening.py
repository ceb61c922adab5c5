"""How a database becomes an index: found or made, known for what it is, and brought up to date."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote, unquote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from blinkarchive.clock import Clock
from blinkarchive.errors import ArchiveBusy, ArchiveError, ConfigError, IndexUnusable, NothingArchived
from blinkarchive.files import Files, is_full
from blinkarchive.index import schema

MIGRATIONS = "blinkarchive.index:migrations"
BUSY_SECONDS = 10.0
"""How long SQLite waits for another process's transaction."""
CACHED_KIB = 1000
"""What SQLite keeps of its file in memory. Twice of it is its default, and what is asked here was not answered faster by it."""


def open_engine(
    where: str | Path, *, clock: Clock, read_only: bool, files: Files, migrations: str = MIGRATIONS, version: str = schema.VERSION
) -> sa.Engine:
    """An engine over an index of this program's schema: one connection, WAL and full durability on SQLite.

    An index that does not exist is made; an older one is brought up to date in one transaction, after a copy of the SQLite
    file was put beside it. Raises `NothingArchived` when it is to be read only and does not exist, `IndexUnusable` when it
    is damaged, newer than this program, or no index at all (nothing is changed then), `ConfigError` for an address that
    makes no sense.
    """
    url = _url(where)
    path = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
    if path is not None:
        if read_only and not (path.exists() and path.stat().st_size):
            raise NothingArchived(f"nothing has been archived yet: there is no index at {path}")
        if not read_only:
            _make_file(path, files)
    engine = _engine(url, path, read_only=read_only)
    try:
        with translated(engine.url):
            found = _version(engine)
            _judge(found, version, engine.url, read_only=read_only)
            if path is not None and not read_only:
                _write_ahead(engine)
            if found is None and version == schema.VERSION:
                _make_tables(engine, clock)
            elif found != version:
                if path is not None and found is not None:
                    _back_up(engine, path, path.with_name(f"{path.name}.before-{version}"), files)
                migrate(engine, migrations)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """The database's errors as ours."""
    place = unquote((url.database or url.render_as_string(hide_password=True)).removeprefix("file:"))
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        name = getattr(cause, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise _damaged(place, cause) from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise ArchiveBusy(f"another program holds the index {place}") from error
        if name.startswith("SQLITE_FULL"):
            raise ArchiveError(f"there is no room for the index {place}") from error
        raise ArchiveError(f"the index {place}: {cause}") from error
    except UnicodeDecodeError as error:  # SQLite quotes the bytes that make no sense to it
        raise _damaged(place, "its schema is not text") from error
    except OSError as error:
        trouble = "there is no room" if is_full(error) else error.strerror or str(error)
        raise ArchiveError(f"the index {place}: {trouble}") from error


def _damaged(place: str, cause: object) -> IndexUnusable:
    return IndexUnusable(
        f"the index {place} is damaged ({cause}): move it aside, together with {place}-wal, and run "
        "`blinkarchive run`: a new one is made, and the copies that the sinks hold are recognised again; "
        "where they are encrypted, they are put there anew"
    )


def _url(where: str | Path) -> sa.URL:
    if isinstance(where, Path) or "://" not in where:
        return sa.URL.create("sqlite", database=str(where))
    try:
        url = sa.make_url(where)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError("the index's address is not one of a database that is known here") from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(f"an index cannot be kept in {url.get_backend_name()}: SQLite and PostgreSQL are known")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError("an index needs a file")
    return url


def _make_file(path: Path, files: Files) -> None:
    """An empty file is an empty database. SQLite would make it too, but readable for everybody."""
    try:
        if not path.exists():
            files.make_folders(path.parent, 0o700)
            with files.writing(path, 0o600):
                pass
            files.sync_folder(path.parent)
    except OSError as error:
        raise ArchiveError(f"the index {path} cannot be made: {error.strerror}") from error


def _engine(url: sa.URL, path: Path | None, *, read_only: bool) -> sa.Engine:
    if path is not None and read_only:
        url = url.set(database=f"file:{quote(str(path.absolute()))}", query={"mode": "ro", "uri": "true"})
    try:
        engine = sa.create_engine(
            url,
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=path is None,
            execution_options={"postgresql_readonly": read_only},
        )
    except ModuleNotFoundError as error:
        raise ConfigError(f"the index's database needs the Python package {error.name}") from error
    if path is not None:
        _teach_sqlite(engine, read_only=read_only)
    return engine


def _teach_sqlite(engine: sa.Engine, *, read_only: bool) -> None:
    """Settings of a connection, and transactions that begin where we say so: the driver would begin them at the first write."""
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{CACHED_KIB}")

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def _version(engine: sa.Engine) -> str | None:
    """The schema's version; None where there is nothing at all."""
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        if inspector.has_table("alembic_version"):
            return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one())
        if inspector.get_table_names():
            raise IndexUnusable(f"{engine.url.database} is a database, but no index of blinkarchive")
        return None


def _judge(found: str | None, wanted: str, url: sa.URL, *, read_only: bool) -> None:
    if found is None and read_only:
        raise NothingArchived(f"nothing has been archived yet: the index {url.database} is empty")
    if found is not None and found > wanted:
        raise IndexUnusable(
            f"the index {url.database} was written by a newer blinkarchive (schema {found}; this one knows {wanted}): "
            "use that version, or one newer still"
        )
    if found != wanted and read_only:
        raise IndexUnusable(
            f"the index {url.database} is of an older blinkarchive (schema {found}): "
            "the next `blinkarchive run` brings it up to date"
        )


def _write_ahead(engine: sa.Engine) -> None:
    """Readers go on while we write, and a commit is one flush. SQLite remembers this in the file."""
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        (mode,) = raw.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise IndexUnusable(
            f"the file system that holds {engine.url.database} cannot keep an index safely: "
            "put the archive's state folder on a local disk"
        )


def _back_up(engine: sa.Engine, path: Path, target: Path, files: Files) -> None:
    """A durable copy of the index as it is, whatever is still in its write-ahead log."""
    temp = target.with_name(f"{target.name}.next")
    with suppress(FileNotFoundError):
        files.unlink(temp)
    with files.writing(temp, 0o600), engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("VACUUM INTO ?", (str(temp),))
    files.rename(temp, target)
    files.sync_folder(path.parent)


def _make_tables(engine: sa.Engine, clock: Clock) -> None:
    """A new index, as all the steps together would have made it (a test compares them), and its identity; all or nothing."""
    with engine.begin() as connection:
        schema.tables_for(connection.dialect.name).create_all(connection)
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute(sa.text("INSERT INTO alembic_version VALUES (:version)"), {"version": schema.VERSION})
        connection.execute(schema.archive.insert(), {"id": str(uuid.uuid4()), "made_at": clock.now(), "secret": token_hex(32)})


def migrate(engine: sa.Engine, migrations: str = MIGRATIONS) -> None:
    """Take every step that is missing, all in one transaction."""
    # Half a second, that only a migration pays.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", migrations)
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        if isinstance(raw, sqlite3.Connection):
            # A step may have to build a table anew and drop the old one; what points at it is looked at afterwards.
            raw.execute("PRAGMA foreign_keys = OFF")
        with connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if isinstance(raw, sqlite3.Connection) and (broken := raw.execute("PRAGMA foreign_key_check").fetchall()):
                raise IndexUnusable(
                    f"the index {engine.url.database} could not be brought up to date: {len(broken)} rows hang loose"
                )
        if isinstance(raw, sqlite3.Connection):
            raw.execute("PRAGMA foreign_keys = ON")
