"""The project that `plugins new` writes: it works under any name, and touches nothing that is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from blinkarchive import __version__, starter
from blinkarchive.errors import ConfigError
from blinkarchive.registry import PluginInfo

pytest_plugins = ["pytester"]

SAMPLE = Path(starter.__file__).parent / "project"
LONGEST = "abcdefghij-klmnopqrs-tuvwxyz-0123456-7_8"
ODD = ["x", "a-", "s--3", "my_cloud-2", "new-kind", "new_kind-x", "blinkarchive", "test_bed", "none", "sink", LONGEST]


class Ended(NamedTuple):
    code: int
    said: str


def tool(folder: Path, *arguments: str) -> Ended:
    """Run a tool in a folder, as somebody who works there does."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout + done.stderr)


def written(folder: Path, kind: str) -> Path:
    """A project of this name, in a folder of its own."""
    new = starter.named(kind, [])
    starter.write(starter.project(new), folder / new.distribution)
    return folder / new.distribution


# -- what it is


@pytest.mark.timeout(180)
def test_the_sample_keeps_the_whole_contract() -> None:
    ended = tool(SAMPLE, "pytest", "-q", "-p", "no:cacheprovider")
    assert ended.code == 0, ended.said
    assert re.search(r"^\d{2} passed in", ended.said, re.MULTILINE), ended.said


@pytest.mark.parametrize("kind", ["x", "a-", "new_kind-x", "blinkarchive", "test_bed", LONGEST])
def test_a_project_of_any_name_passes_its_own_tests(pytester: pytest.Pytester, kind: str) -> None:
    folder = written(pytester.path, kind)
    pytester.syspathinsert(folder)
    cases = "second_put or damaged or stays_open or it_is_a_sink"
    os.chdir(folder)
    result = pytester.runpytest_inprocess("-c", "pyproject.toml", "-p", "no:cacheprovider", "-k", cases)
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed", "deselected"}
    assert outcomes["passed"] == 7


@pytest.mark.parametrize("kind", ["x", "my_cloud-2", LONGEST])
def test_a_project_of_any_name_is_typed_and_in_good_style(tmp_path: Path, kind: str) -> None:
    folder = written(tmp_path, kind)
    assert tool(folder, "mypy", "--strict", "--cache-dir", os.devnull) == (0, "Success: no issues found in 4 source files\n")
    for arguments in (("check", "--isolated"), ("check",), ("format", "--check")):
        ended = tool(folder, "ruff", *arguments, "--no-cache", ".")
        assert ended.code == 0, ended.said


@pytest.mark.parametrize("kind", ODD)
def test_everything_in_a_project_has_its_name(tmp_path: Path, kind: str) -> None:
    new = starter.named(kind, [])
    texts = starter.project(new)
    project = tomllib.loads(texts["pyproject.toml"])
    assert project["project"]["entry-points"]["blinkarchive"] == {kind: new.package}
    assert new.package.isidentifier()
    assert f"{new.package}/__init__.py" in texts
    assert f'kind="{kind}"' in texts[f"{new.package}/__init__.py"]
    assert f"# {project['project']['name']}\n" in texts["README.md"]
    assert re.fullmatch(r"blinkarchive(-[a-z0-9]+)+", project["project"]["name"])
    if "new" not in kind:
        left = [path for path, text in texts.items() if re.search("new[-_]?kind", path + text, re.IGNORECASE)]
        assert left == []


def test_a_project_has_all_that_one_needs() -> None:
    texts = starter.project(starter.Named("attic"))
    assert sorted(texts) == [
        ".gitignore", "LICENSE", "README.md", "blinkarchive_attic/__init__.py", "blinkarchive_attic/py.typed",
        "blinkarchive_attic/sink.py", "blinkarchive_attic/store.py", "pyproject.toml", "tests/test_contract.py",
    ]  # fmt: skip
    project = tomllib.loads(texts["pyproject.toml"])
    assert {"pytest", "pytest-asyncio"} <= {re.split("[<>=]", need)[0] for need in project["dependency-groups"]["dev"]}
    assert project["project"]["dependencies"] == [f"blinkarchive{starter.accepted(__version__)}"]


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        ("0.1.0", ">=0.1,<0.3"),
        ("0.9.4", ">=0.9,<0.11"),
        ("1.0.0", ">=1.0,<2"),
        ("2.13.1", ">=2.13,<3"),
        ("0.2.0.dev1", ">=0.2,<0.4"),
    ],
)
def test_a_plugin_accepts_the_releases_that_it_was_promised_to_run_on(version: str, accepted: str) -> None:
    assert starter.accepted(version) == accepted


# -- names


@pytest.mark.parametrize("kind", ["", "Attic", "2nd", "-x", "_x", "at tic", "at.tic", "at/tic", "../x", "ätic", "x\n", "$x"])
def test_what_cannot_name_a_kind_of_sink_names_no_plugin(kind: str) -> None:
    with pytest.raises(ConfigError, match="use small letters, digits, - and _"):
        starter.named(kind, [])


@pytest.mark.parametrize("kind", ["class", "import", "async", "not"])
def test_a_word_of_python_names_no_plugin(kind: str) -> None:
    with pytest.raises(ConfigError, match="a word of Python"):
        starter.named(kind, [])


def test_a_name_is_not_too_long() -> None:
    assert starter.named("x" * starter.LONGEST, []).kind == "x" * starter.LONGEST
    with pytest.raises(ConfigError, match="has 41 letters"):
        starter.named("x" * (starter.LONGEST + 1), [])


def test_what_ships_keeps_its_name() -> None:
    with pytest.raises(ConfigError, match="ships with blinkarchive"):
        starter.named("disk", [PluginInfo(name="disk", distribution="blinkarchive", version="1")])


def test_a_name_that_an_installed_plugin_has_is_free_for_itself_alone() -> None:
    installed = [PluginInfo(name="attic", distribution="somebodys-attic", version="1")]
    with pytest.raises(ConfigError, match="a plugin of somebodys-attic"):
        starter.named("attic", installed)
    own = [PluginInfo(name="my_attic", distribution="Blinkarchive_My.Attic", version="1")]
    assert starter.named("my_attic", own).distribution == "blinkarchive-my-attic"


# -- writing


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    starter.write({"a/b.txt": "b\n"}, tmp_path)
    assert (tmp_path / "a" / "b.txt").read_text() == "b\n"


@pytest.mark.parametrize("there", ["notes.txt", ".git"])
def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(ConfigError, match="is not empty, and was not touched"):
        starter.write({"a.txt": "a"}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [there]


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="mine cannot be written"):
        starter.write({"a.txt": "a"}, tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"


def test_what_cannot_be_written_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    texts = {"a/b/c.txt": "c", "d.txt": "d", f"{'x' * 300}.txt": "too long"}
    with pytest.raises(ConfigError, match="cannot be written"):
        starter.write(texts, tmp_path / "new" / "project")
    assert list(tmp_path.iterdir()) == []


def test_what_tools_leave_in_the_sample_is_not_written(tmp_path: Path) -> None:
    assert not [path for path in starter.project(starter.Named("attic")) if "__pycache__" in path or "_cache" in path]
