"""The blocks of docs/writing-a-sink.md, for the tests that run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-sink.md"
_BLOCK = re.compile(r"^```(\w*)\n(?:# (\S+\.\w+(?: of \w+ \w+)?)\n)?(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of the page."""

    language: str
    #: The file in its first line; "" when none is named.
    file: str
    text: str


def blocks() -> list[Block]:
    """All of them, in their order."""
    return [Block(*found.groups(default="")) for found in _BLOCK.finditer(PAGE.read_text())]


def commands() -> list[str]:
    """The commands of the page, in their order."""
    lines = [line for block in blocks() if block.language == "console" for line in block.text.splitlines()]
    assert all(line.startswith("$ ") for line in lines), lines
    return [line.removeprefix("$ ") for line in lines]


def configs() -> list[str]:
    """What the page lets an owner write."""
    return [block.text for block in blocks() if block.language == "toml" and not block.file]
