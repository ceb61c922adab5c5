"""The witness: the newest blinkpy, and a simulated cloud that it takes for Blink."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from blinkarchive.simulator import Running, Simulator, World
from tests.witness.newest import Installed, NotInstalledError, newest
from tests.witness.witness import Made, Witness

HERE = Path(__file__).parent
HOSTS = ("api.oauth.blink.com", "*.immedia-semi.com")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first one of them may have to install the witness."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def installed() -> Installed:
    """In CI it is the newest one, or there is no verdict at all."""
    in_ci = bool(os.environ.get("CI"))
    try:
        found = newest()
    except NotInstalledError as error:
        if in_ci:
            pytest.fail(f"The simulator has no witness: {error}", pytrace=False)
        pytest.skip(str(error))
    if found.doubt and in_ci:
        pytest.fail(f"Whether blinkpy {found.version} is the newest one is not known: {found.doubt}", pytrace=False)
    return found


@pytest.fixture(scope="session")
def made(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Made:
    authority = trustme.CA()
    certificate = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(certificate)
    return Made(installed=installed, authority=authority, certificate=certificate)


@pytest.fixture
async def running(world: World, made: Made) -> AsyncIterator[Running]:
    """The world of the test's module, served under Blink's names."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.authority.issue_cert(*HOSTS).configure_cert(tls)
    async with Simulator(world).serving(tls=tls) as running:
        yield running


@pytest.fixture(scope="session")
def seasoned(made: Made) -> Iterator[Witness]:
    """One process for all tests that need no new one: to load blinkpy takes longer than most of them."""
    witness = Witness(made)
    yield witness
    witness.dismiss()


@pytest.fixture
async def witness(seasoned: Witness, running: Running, made: Made, request: pytest.FixtureRequest) -> Witness:
    """A blinkpy that has not signed in."""
    doubt = f" (there may be a newer one: {made.installed.doubt})" if made.installed.doubt else ""
    request.node.user_properties.append(("witness", f"blinkpy {made.installed.version}{doubt}"))
    await seasoned.meet(running)
    return seasoned
