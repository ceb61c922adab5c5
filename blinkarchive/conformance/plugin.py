"""The pytest plugin of the conformance kit: found by pytest through its entry point wherever blinkarchive is installed."""

from __future__ import annotations

import pytest

from blinkarchive.conformance.basis import UNTESTED
from blinkarchive.conformance.content import ContentMaker, MakeContent


@pytest.fixture
def make_content(tmp_path_factory: pytest.TempPathFactory) -> MakeContent:
    """Makes contents to put into a sink: `make_content(1000)` of random bytes, `make_content(b"…")` of these."""
    return ContentMaker(tmp_path_factory.mktemp("contents"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell at the end which promises were not tested: nobody should take silence for success."""
    reports = [
        report for reports in terminalreporter.stats.values() for report in reports if isinstance(report, pytest.TestReport)
    ]
    told = [f"{report.nodeid}: {why}" for report in reports for name, why in report.user_properties if name == UNTESTED]
    if told:
        terminalreporter.section("promises of sinks that were not tested")
        for line in dict.fromkeys(told):
            terminalreporter.line(line)
