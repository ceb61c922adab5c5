"""What docs/sftp.md says of the options is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from blinkarchive.config import load, options
from blinkarchive.registry import Registry
from blinkarchive_sftp import SFTP

PAGE = (Path(__file__).parents[2] / "docs" / "sftp.md").read_text("utf-8")
KINDS = {"str": "text", "int": "number", "bool": "true or false", "Path": "path", "SecretRef": "secret"}


def test_the_table_of_options_is_true_to_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    [plugin] = [plugin for plugin in Registry.load(kinds={"sftp"}).plugins() if plugin.name == "sftp"]
    told = []
    for option in plugin.options:
        default = "must be given" if option.required else f"`{option.default.strip(chr(34))}`" if option.default else "none"
        kind = next(words for name, words in KINDS.items() if re.search(rf"\b{name}\b", option.type))
        told.append((option.name, kind, default, option.help))
    assert sorted(rows) == sorted(told)


def test_the_config_of_the_page_is_accepted(tmp_path: Path) -> None:
    block = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    file = tmp_path / "blinkarchive.toml"
    file.write_text(block[1])
    made = options(SFTP.options, load(file, {}).sinks["offsite"])  # type: ignore[index]
    assert (made.host, made.path, made.port) == ("backup.example.org", "clips", 22)
