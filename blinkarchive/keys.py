"""What can be a key where keys become names of files, and how a file is called that is half-written there."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable

from blinkarchive.errors import BadKey

LONGEST_PART = 255
LONGEST_KEY = 1024
"""In bytes of UTF-8: what every file system takes, and what object stores take."""

_DRAFT = re.compile(r"\.blinkarchive-[0-9a-f]{16}\.part")


def draft_name() -> str:
    """A fresh name for a draft."""
    return f".blinkarchive-{secrets.token_hex(8)}.part"


def is_draft(name: str) -> bool:
    """Whether a file of this name is a draft of ours."""
    return _DRAFT.fullmatch(name) is not None


def why_not(part: str, is_draft: Callable[[str], bool] = is_draft) -> str:
    """Why a name cannot stand between the slashes of a key; "" when it can. `is_draft`: where drafts have other names."""
    if part in ("", ".", ".."):
        return "it has an empty part, or one that is only dots"
    if "/" in part or any(unicodedata.category(character) in ("Cc", "Cs") for character in part):
        return "it has a control character, or one that cannot be written as UTF-8"
    if len(part.encode()) > LONGEST_PART:
        return f"a part of it is longer than {LONGEST_PART} bytes"
    if is_draft(part):
        return "that is how drafts are called here"
    return ""


def parts_of(key: str, is_draft: Callable[[str], bool] = is_draft) -> tuple[str, ...]:
    """The parts of a key: the folders, then the name of the file. Raises `BadKey`."""
    parts = tuple(key.split("/"))
    for part in parts:
        if reason := why_not(part, is_draft):
            raise BadKey(f"{key!r} cannot be a key: {reason}")
    if len(key.encode()) > LONGEST_KEY:
        raise BadKey(f"{key!r} cannot be a key: it is longer than {LONGEST_KEY} bytes")
    return parts
