"""The conformance kit lets the innocent pass, catches every sinner by the case made for it, and says what it did not test."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.sinks.sins import SINNERS, InnocentContract

pytest_plugins = ["pytester"]

TEACHING = ("promised: ", "happened: ", "usually mended by: ")

SINNERS_MODULE = """
from tests.sinks.sins import SINNERS, contract_of

for sinner, case in SINNERS:
    globals()[f"Test{sinner.__name__}"] = contract_of(sinner, case)
"""

INI = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
filterwarnings = error
addopts = -p no:cacheprovider
"""

INNOCENT_MODULE = """
from contextlib import asynccontextmanager
import pytest
from blinkarchive.conformance import SinkContract, Untestable
from tests.sinks.sins import Innocent, Place

class TestInnocent(SinkContract):
    BIG = 1_000_000
    HUGE = 2_000_000
    MANY = 50

    @pytest.fixture
    def open_sink(self):
        place = Place()

        @asynccontextmanager
        async def opened():
            yield Innocent(place)

        return opened
"""

POWERS = """
    async def flip_a_stored_byte(self, key):
        raise Untestable("the store seals what it holds")

    def take_away(self):
        raise Untestable("memory cannot be unplugged")
"""


class TestInnocent(InnocentContract):
    """The sink that all sinners are made from keeps every promise."""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the kit said of each sinner's failed tests, by sinner and case, from one run of all of them."""
    folder = tmp_path_factory.mktemp("sinners")
    (folder / "test_sinners.py").write_text(SINNERS_MODULE)
    (folder / "pytest.ini").write_text(INI.format(mode="strict"))
    said: dict[str, list[str]] = defaultdict(list)

    class Clerk:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                _, sinner, case = report.nodeid.partition("[")[0].split("::")
                said[f"{sinner}::{case}"].append(report.longreprtext)

    assert pytest.main(["-q", f"--rootdir={folder}", f"--basetemp={folder / 'base'}", str(folder)], plugins=[Clerk()]) == 1
    return said


@pytest.mark.parametrize(("sinner", "case"), [(sinner.__name__, case) for sinner, case in SINNERS])
def test_every_sinner_is_caught_by_its_case_and_told_how_to_mend(sinner: str, case: str, verdicts: dict[str, list[str]]) -> None:
    said = verdicts[f"Test{sinner}::{case}"]
    assert said, f"{case} did not catch {sinner}"
    assert all(word in said[0] for word in TEACHING), said[0]


def test_there_is_a_sinner_for_every_case_of_the_contract() -> None:
    cases = {name for name in dir(InnocentContract) if name.startswith("test_")}
    assert {case for _, case in SINNERS} == cases
    assert len(cases) >= 50


def kit_on(pytester: pytest.Pytester, module: str, *options: str, mode: str = "strict") -> pytest.RunResult:
    """Run an author's test module in a folder of its own."""
    pytester.makeini(INI.format(mode=mode))
    pytester.makepyfile(test_mine=module)
    return pytester.runpytest(*options)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_an_innocent_sink_passes_in_either_mode_and_what_was_not_tested_is_told(pytester: pytest.Pytester, mode: str) -> None:
    result = kit_on(pytester, INNOCENT_MODULE + POWERS, mode=mode)
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed", "xfailed"}
    assert outcomes["xfailed"] == 6
    result.stdout.fnmatch_lines(
        [
            "*promises of sinks that were not tested*",
            "*test_an_outage_is_an_error_and_never_an_answer: memory cannot be unplugged",
            "*test_a_damaged_object_shows: the store seals what it holds",
        ]
    )


def test_an_author_who_says_nothing_about_damage_and_outages_is_told_what_to_write(pytester: pytest.Pytester) -> None:
    result = kit_on(pytester, INNOCENT_MODULE, "-k", "damaged or outage")
    assert result.parseoutcomes()["failed"] == 6
    assert "passed" not in result.parseoutcomes()
    result.stdout.fnmatch_lines_random(["*Override `flip_a_stored_byte`*", "*Override `take_away`*"])


def test_what_an_author_leaves_out_for_a_slow_place_is_told(pytester: pytest.Pytester) -> None:
    module = INNOCENT_MODULE.replace("    HUGE = 2_000_000\n", "    HUGE = 0\n    LONG = 0\n") + POWERS
    result = kit_on(pytester, module, "-k", "huge or listing")
    assert result.parseoutcomes()["xfailed"] == 3  # and an outage while listing
    result.stdout.fnmatch_lines_random(["*_huge_*: left out by HUGE = 0", "*_long_listing_*: left out by LONG = 0"])


def test_an_author_who_forgets_the_fixture_is_told_what_to_write(pytester: pytest.Pytester) -> None:
    module = "from blinkarchive.conformance import SinkContract\n\nclass TestMine(SinkContract):\n    pass\n"
    result = kit_on(pytester, module, "-k", "empty_sink")
    assert "passed" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["*The class has no fixture `open_sink`*"])


def test_the_pytest_plugin_imports_no_sink(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI.format(mode="strict"))
    pytester.makepyfile(
        test_mine="""
        import sys

        def test_it(make_content):
            assert make_content(5).path.read_bytes() != make_content(5).path.read_bytes()
            assert make_content(b"abc").size == 3
            assert not [name for name in sys.modules if name.startswith(("blinkarchive_", "aiohttp", "sqlalchemy", "click"))]
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
