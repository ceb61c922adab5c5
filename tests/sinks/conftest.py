"""Servers to store on."""

from collections.abc import Iterator

import pytest

from tests import sshd as servers


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Sshd]:
    """A real OpenSSH server, for all tests; whoever stops it starts it again."""
    with servers.serving(tmp_path_factory.mktemp("sshd")) as server:
        yield server
