"""The reference of the config, the shipped config files and the code say the same."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, Field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pyrage
import pytest

from blinkarchive.config import (
    AccountConfig,
    AlarmConfig,
    ArchiveConfig,
    EncryptConfig,
    PluginsConfig,
    ServeConfig,
    SinkConfig,
    SourceConfig,
    load,
    require,
)
from blinkarchive.convert import keys_of
from blinkarchive.errors import ConfigError
from blinkarchive.model import SinkName, SourceName
from blinkarchive.pace import PACES, Figures
from blinkarchive.when import format_duration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text("utf-8")
SHIPPED = ROOT / "config" / "blinkarchive.toml"

TABLES: dict[str, tuple[type[Any], set[str]]] = {
    "[archive]": (ArchiveConfig, set()),
    "[account.NAME]": (AccountConfig, {"name"}),
    "[source.cloud]": (SourceConfig, {"name"}),
    "[sink.NAME]": (SinkConfig, {"name", "raw", "place"}),
    "[serve]": (ServeConfig, set()),
    "[plugins]": (PluginsConfig, set()),
    "[alarm]": (AlarmConfig, set()),
}
"""The tables of a config, what they become, and the fields that are no keys."""


def keys(table: str) -> dict[str, Field[Any]]:
    kind, others = TABLES[table]
    return {one.name: one for one in keys_of(kind) if one.name not in others}


def rows(text: str) -> dict[str, str]:
    """The keys of the first table in a text, each with its default."""
    _, _, body = text.partition("| key | type | default | what it does |\n")
    lines = body.split("\n\n")[0].splitlines()[1:]
    return {cells[0].strip("` "): cells[2].strip("` ") for cells in (line.strip("| ").split(" | ") for line in lines)}


def section(table: str) -> str:
    [found] = [part for part in PAGE.split("\n## ")[1:] if part.startswith(f"`{table}`")]
    return found


def shown(one: Field[Any]) -> str:
    """A default as the reference says it; "" where it says it in words."""
    if one.default is MISSING:
        return "must be given" if one.default_factory is MISSING else ""
    match one.default:
        case None:
            return "none"
        case Figures() as pace:
            return next(name for name, figures in PACES.items() if figures == pace)
        case timedelta() as week if week == timedelta(days=7):
            return "7d"  # as people say it
        case timedelta() as length:
            return format_duration(length)
        case Enum() as member:
            return str(member.value)
        case bool() as yes:
            return str(yes).lower()
        case ():
            return "[]"
        case int() as size if size >= 1024**2 and size % 1024**2 == 0:
            return f"{size // 1024**2}MiB"
        case default:
            return str(default)


@pytest.mark.parametrize("table", TABLES)
def test_the_reference_has_every_key_with_its_default(table: str) -> None:
    told = rows(section(table))
    expected = {name: shown(one) for name, one in keys(table).items()}
    assert told.keys() == expected.keys()
    in_words = {"every"} | {name for name, default in expected.items() if not default}
    assert {name: told[name] for name in told.keys() - in_words} == {name: expected[name] for name in expected.keys() - in_words}
    assert all(told[name] for name in in_words & told.keys())


def test_the_reference_has_every_figure_of_a_pace() -> None:
    _, _, figures = section("[account.NAME]").partition("A pace is")
    assert rows(figures) == {one.name: str(one.default) for one in keys_of(Figures)}
    assert set(PACES) <= set(re.findall(r"`(\w+)`", figures))


def shipped_keys() -> dict[str, set[str]]:
    """The keys of the shipped config by table, with those that stand behind a "#"."""
    found: dict[str, set[str]] = {}
    table = ""
    for line in SHIPPED.read_text("utf-8").splitlines():
        if line.startswith("["):
            table = line.strip("[]")
        elif match := re.match(r"(?:# )?([a-z_]+) = ", line):
            found.setdefault(table, set()).add(match[1])
    return found


def test_the_shipped_config_has_every_key() -> None:
    names = {"archive": "[archive]", "account.home": "[account.NAME]", "source.cloud": "[source.cloud]",
             "source.sync-module": "[source.cloud]", "sink.nas": "[sink.NAME]", "plugins": "[plugins]",
             "serve": "[serve]", "alarm": "[alarm]"}  # fmt: skip
    expected = {name: set(keys(table)) for name, table in names.items()}
    expected["sink.nas"].add("path")
    expected["source.cloud"].remove("skip_twins")  # of sticks alone
    assert shipped_keys() == expected


def test_the_shipped_config_is_accepted_and_holds_the_defaults(clean_environment: Path) -> None:
    read = load(SHIPPED, {})
    require(read)
    assert read.archive == ArchiveConfig(state=clean_environment / ".local/state/blinkarchive")
    assert read.accounts["home"] == AccountConfig(name="home", username="me@example.org")
    assert read.sources == load(None, {}).sources
    assert set(read.sources) == set(SourceName)
    assert read.plugins == PluginsConfig()
    assert read.alarm == AlarmConfig()
    assert read.warnings == ()


def write(folder: Path, text: str) -> Path:
    file = folder / "all.toml"
    file.write_text(text)
    return file


def test_what_the_shipped_config_leaves_out_is_accepted_too(tmp_path: Path) -> None:
    text = re.sub(r"^# ([a-z_]+ = )", r"\1", SHIPPED.read_text("utf-8"), flags=re.MULTILINE)
    text = re.sub(r"^every = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^password = \{ (?:file|keyring).*\n", "", text, flags=re.MULTILINE)
    # Nobody's keys stand there: a line that is taken over as it is must not encrypt for a stranger.
    assert text.count('"age1…"') == 2
    with pytest.raises(ConfigError, match="recipient 1 is no public key"):
        load(write(tmp_path, text), {"BLINK_PASSWORD": "x"})
    for _ in range(2):
        text = text.replace('"age1…"', f'"{pyrage.x25519.Identity.generate().to_public()}"', 1)
    read = load(write(tmp_path, text), {"BLINK_PASSWORD": "x"})
    assert isinstance(read.sinks[SinkName("nas")].encrypt, EncryptConfig)
    assert read.alarm.ping is not None
    account = read.accounts["home"]
    assert account.read_password() is not None
    assert account.api_url
    assert account.oauth_url
    assert all(source.cron for source in read.sources.values())


def test_the_demos_config_is_accepted() -> None:
    require(load(ROOT / "config" / "demo.toml", {}))


def test_both_files_are_in_the_wheel() -> None:
    included = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"][
        "force-include"
    ]
    assert {
        f"config/{file.name}": f"blinkarchive/config_files/{file.name}" for file in (ROOT / "config").glob("*.toml")
    } == included
