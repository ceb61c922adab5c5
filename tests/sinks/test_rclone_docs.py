"""docs/rclone.md tells of the options that there are."""

from __future__ import annotations

import re
from pathlib import Path

from blinkarchive.registry import Registry
from blinkarchive_rclone.program import OLDEST

PAGE = (Path(__file__).parents[2] / "docs" / "rclone.md").read_text()


def test_the_table_of_options_is_that_of_the_code() -> None:
    info = next(one for one in Registry.load(["rclone"]).plugins() if one.name == "rclone")
    told = re.findall(r"^\| `(\w+)` \| ([\w ]+) \| ([\w`\[\] ]+) \| (.*) \|$", PAGE, re.MULTILINE)
    words = {
        "str": "text",
        "str | None": "text",
        "int": "whole number",
        "tuple[str, ...]": "list of texts",
        "pathlib.Path | None": "path",
        "blinkarchive.convert.SecretRef | None": "secret",
    }
    assert told == [
        (
            option.name,
            words[option.type],
            "must be given" if option.required else f"`{option.default}`" if option.default else "none",
            option.help,
        )
        for option in info.options
    ]


def test_the_oldest_version_is_the_one_that_is_asked_for() -> None:
    assert set(re.findall(r"(\d+\.\d+) or newer", PAGE)) == {".".join(map(str, OLDEST))}
