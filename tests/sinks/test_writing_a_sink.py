"""What docs/writing-a-sink.md shows works as it stands: it is installed from the page, loaded, and run through the kit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-sink.md"
BLOCK = re.compile(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

LOAD = """
import json
from blinkarchive.registry import Registry
registry = Registry.load({"sqlite"}, also=["tally"])
print(json.dumps({
    info.name: [info.kind, info.distribution, info.version, [option.name for option in info.options], info.hooks, info.failure]
    for info in registry.plugins() if info.distribution != "blinkarchive"
}))
"""


@pytest.fixture
def files() -> dict[str, str]:
    """The files that the page shows, by the name in their first line."""
    return dict(BLOCK.findall(PAGE.read_text()))


@pytest.fixture
def site(tmp_path: Path, files: dict[str, str]) -> Path:
    """The page's package, installed as its pyproject.toml says; and its listener."""
    project = tomllib.loads(files["pyproject.toml"])["project"]
    points = {**project["entry-points"]["blinkarchive"], "tally": "blinkarchive_tally"}
    info = tmp_path / f"blinkarchive_sqlite-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text("[blinkarchive]\n" + "".join(f"{name} = {to}\n" for name, to in points.items()))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=site, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )


def test_the_sink_of_the_page_is_found_by_its_entry_point(site: Path) -> None:
    done = run(site, "-c", LOAD)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "sqlite": ["sqlite", "blinkarchive-sqlite", "1.0", ["path"], ["blinkarchive_sink_types"], ""],
        "tally": ["", "blinkarchive-sqlite", "1.0", [], ["blinkarchive_clip_stored", "blinkarchive_run_finished"], ""],
    }


@pytest.mark.timeout(300)  # a whole kit in a process of its own, on a database that flushes after every step
def test_the_sink_of_the_page_keeps_the_contract(site: Path) -> None:
    done = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_blinkarchive_sqlite.py")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d{2} passed in", done.stdout, re.MULTILINE), done.stdout


def test_the_code_of_the_page_is_typed(site: Path) -> None:
    done = run(site, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "blinkarchive_sqlite.py", "blinkarchive_tally.py")
    assert done.returncode == 0, done.stdout


def test_every_block_of_the_page_with_a_name_is_used(files: dict[str, str]) -> None:
    assert sorted(files) == ["blinkarchive_sqlite.py", "blinkarchive_tally.py", "pyproject.toml", "test_blinkarchive_sqlite.py"]
    shown = re.findall(r"^```python$", PAGE.read_text(), re.MULTILINE)
    assert len(shown) == len([name for name in files if name.endswith(".py")])
