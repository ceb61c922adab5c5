"""What docs/writing-a-sink.md shows works as it stands. Its commands are run by tests/acceptance/test_new_plugin.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from blinkarchive import starter
from blinkarchive.config import load
from blinkarchive.conformance import SinkContract
from blinkarchive.registry import RESERVED
from tests.sinks.page import PAGE, blocks, commands, configs

LISTENER = "blinkarchive_tally.py"
LISTENERS_POINT = "pyproject.toml of the listener"

LOAD = """
import json
from blinkarchive.registry import Registry
registry = Registry.load(also=["tally"])
print(json.dumps({
    info.name: [info.kind, info.distribution, info.version, info.hooks, info.failure]
    for info in registry.plugins() if info.hooks
}))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The page's listener, installed as the page says."""
    [text] = [block.text for block in blocks() if block.file == LISTENER]
    [project] = [tomllib.loads(block.text)["project"] for block in blocks() if block.file == LISTENERS_POINT]
    (tmp_path / LISTENER).write_text(text)
    info = tmp_path / "tally-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tally\nVersion: 1.0\n")
    points = project["entry-points"]["blinkarchive"]
    (info / "entry_points.txt").write_text("[blinkarchive]\n" + "".join(f"{name} = {to}\n" for name, to in points.items()))
    return tmp_path


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=site, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )


def test_what_the_page_shows_of_the_project_is_what_is_written() -> None:
    texts = starter.project(starter.Named("attic"))
    shown = [block for block in blocks() if block.file and block.file not in (LISTENER, LISTENERS_POINT)]
    assert len(shown) >= 7
    for block in shown:
        assert block.text in texts[block.file], f"{block.file} has changed, and the page shows what it was"


def test_every_file_of_the_project_is_explained() -> None:
    rows = "\n".join(line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `"))
    assert [path for path in starter.project(starter.Named("attic")) if f"`{path}`" not in rows] == []


def test_every_block_of_the_page_is_run_by_a_test() -> None:
    assert {block.language for block in blocks()} == {"console", "python", "toml"}
    assert all(block.file for block in blocks() if block.language == "python")
    assert len(blocks()) * 2 == len(re.findall(r"^ *```", PAGE.read_text(), re.MULTILINE))
    assert commands()[0] == "blinkarchive plugins new attic", "the page begins with it"
    assert len(configs()) == 2  # of the sink, in the acceptance test; of the listener, below


def test_the_listener_of_the_page_is_found_by_its_entry_point(site: Path) -> None:
    done = run(site, "-c", LOAD)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "tally": ["", "tally", "1.0", ["blinkarchive_clip_stored", "blinkarchive_run_finished"], ""],
    }


def test_the_listener_of_the_page_is_loaded_by_the_config_of_the_page(tmp_path: Path) -> None:
    file = tmp_path / "blinkarchive.toml"
    file.write_text(configs()[1])
    assert list(load(file, {}).plugins.load) == ["tally"]


def test_the_listener_of_the_page_is_typed(site: Path) -> None:
    done = run(site, "-m", "mypy", "--strict", "--cache-dir", os.devnull, LISTENER)
    assert done.returncode == 0, done.stdout


def test_the_reserved_keys_are_told() -> None:
    for told in (
        PAGE.read_text(),
        *(text for path, text in starter.project(starter.Named("attic")).items() if "sink.py" in path),
    ):
        assert [key for key in RESERVED if f"`{key}`" not in told] == []


def test_the_figures_of_the_kit_are_told() -> None:
    figures = [name for name in dir(SinkContract) if name.isupper()]
    told = "\n".join(line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `"))
    assert len(figures) >= 7
    assert [name for name in figures if f"`{name}`" not in told] == []
