"""What tests of sinks share: real servers."""

from collections.abc import Iterator

import pytest

from tests import sshd as servers
from tests.seaweed import bucket, seaweed

__all__ = ["bucket", "seaweed"]


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Sshd]:
    """A real OpenSSH server, for all tests; whoever stops it starts it again."""
    with servers.serving(tmp_path_factory.mktemp("sshd")) as server:
        yield server
