"""What holds for every test: a clean environment, no task left behind, and in CI nothing skipped."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

OUTSIDE = (
    "NO_COLOR",
    "FORCE_COLOR",
    "CREDENTIALS_DIRECTORY",
    "TZ",
    "LISTEN_FDS",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test, and nothing of the machine's owner in the environment. Gives that home."""
    home = tmp_path_factory.mktemp("home")
    for name in os.environ:
        if name.upper().startswith(("BLINK", "XDG_", "AWS_", "BOTO_")) or name in OUTSIDE:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest_asyncio.fixture
async def _tasks_end() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)  # what was cancelled just now ends in its next turn
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks still run after the test: {left}"


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> None:
    """An async test ends with every task it started ended."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("_tasks_end")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which programs of others were witnesses."""
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    said = {text for report in reports for name, text in getattr(report, "user_properties", ()) if name == "witness"}
    for text in sorted(said):
        terminalreporter.write_line(f"witness: {text}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Unit tests first: the smallest failing test is the one to read."""
    items.sort(key=lambda item: "unit" not in item.path.parts)


def _skipped_is_failed(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing is: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI every part is there, so a test that skips itself has failed."""
    report = yield
    _skipped_is_failed(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    _skipped_is_failed(report)
    return report
