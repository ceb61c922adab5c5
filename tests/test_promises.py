"""What the README, the docs and the changelog promise is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import blinkarchive
from blinkarchive import hookspecs
from blinkarchive.cli import root
from blinkarchive.cli.root import VERBS
from blinkarchive.config import load, require

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NEVER = ("/root/", "/home/runner", "/Users/")
"""Folders of somebody's machine."""


def shipped(*endings: str) -> list[Path]:
    """The files of the repository, as git knows them; those with one of these endings."""
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name.endswith(endings or "") and (ROOT / name).is_file()]


def docs() -> str:
    """All pages of docs/."""
    return "\n".join(page.read_text() for page in shipped(".md") if page.parent == ROOT / "docs")


def documented() -> set[str]:
    """The verbs that README and docs show at work."""
    return set(re.findall(r"(?:`|\$ )blinkarchive (?:--\S+ )*([a-z]+)", README + docs()))


def test_every_make_command_of_the_readme_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"make ([a-z]+)", README + (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"demo", "test"} <= told <= targets


def test_every_verb_that_is_documented_exists() -> None:
    assert documented() <= set(VERBS)


def test_every_verb_is_documented() -> None:
    assert set(VERBS) <= documented()


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_tells_what_it_does(verb: str) -> None:
    command = root.blinkarchive.get_command(click.Context(root.blinkarchive), verb)
    assert command is not None
    assert len((command.help or "").split()) > 2


def test_the_config_of_the_readme_is_accepted(tmp_path: Path) -> None:
    block = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert block is not None
    file = tmp_path / "blinkarchive.toml"
    file.write_text(block[1])
    require(load(file, {}))


def test_every_name_an_author_imports_is_told_in_the_docs() -> None:
    told = docs()
    assert [name for name in blinkarchive.__all__ if not re.search(rf"\b{name}\b", told)] == []


def test_every_hook_is_told_in_the_docs() -> None:
    told = docs()
    hooks = [name for name in vars(hookspecs) if name.startswith("blinkarchive_")]
    assert hooks
    assert [name for name in hooks if name not in told] == []


def test_the_package_exports_what_it_says_and_nothing_else() -> None:
    names = {name for name in vars(blinkarchive) if name.isidentifier() and not name.startswith("_")}
    modules = {name for name in names if f"blinkarchive.{name}" in sys.modules}
    assert names - modules <= set(blinkarchive.__all__) <= names


def test_the_version_is_the_same_everywhere() -> None:
    newest = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert PROJECT["project"]["version"] == blinkarchive.__version__ == newest


def test_no_shipped_file_names_a_folder_of_somebodys_machine() -> None:
    here = Path(__file__)
    named = [
        f"{file.relative_to(ROOT)}: {folder}"
        for file in shipped()
        if file != here
        for folder in NEVER
        if folder.encode() in file.read_bytes()
    ]
    assert named == []


@pytest.mark.parametrize("page", shipped(".md"), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


def test_the_lock_names_no_host_but_pypis() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", (ROOT / "uv.lock").read_text()))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_in_ci_a_skipped_test_is_a_failed_one(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (tmp_path / "test_it.py").write_text("import pytest\n\ndef test_it():\n    pytest.skip('not here')\n")
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", str(tmp_path)]

    def code(ci: str) -> int:
        env = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(run, env=env, capture_output=True, check=False).returncode

    assert (code(""), code("true")) == (0, 1)
