"""Which blinkpy is the witness."""

from __future__ import annotations

import os

import pytest

from tests.witness.newest import Installed, NotInstalledError, newest


@pytest.fixture
def pypi_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")


@pytest.mark.usefixtures("pypi_is_away")
def test_without_pypi_the_one_of_an_earlier_run_is_taken_and_the_doubt_is_told(installed: Installed) -> None:
    kept = newest()
    assert (kept.python, kept.version) == (installed.python, installed.version)
    assert "No matching distribution" in kept.doubt


@pytest.mark.usefixtures("pypi_is_away", "installed")
def test_without_pypi_and_an_earlier_run_it_is_said_that_there_is_none() -> None:
    with pytest.raises(NotInstalledError, match=r"nobodys-blink could not be installed from PyPI: .*No matching distribution"):
        newest("nobodys-blink")
