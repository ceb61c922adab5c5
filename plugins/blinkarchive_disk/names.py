"""Which names a folder takes: keys and their parts, our drafts, and sizes as people write them."""

import re
import secrets
import unicodedata

from blinkarchive import BadKey, ConfigError

LONGEST_PART = 255
LONGEST_KEY = 1024
"""In bytes of UTF-8: what every file system takes, and what object stores take."""

_DRAFT = re.compile(r"\.blinkarchive-[0-9a-f]{16}\.part")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?\s*")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def draft_name() -> str:
    """A fresh name for a draft."""
    return f".blinkarchive-{secrets.token_hex(8)}.part"


def is_draft(name: str) -> bool:
    """Whether a file of this name is a draft of ours."""
    return _DRAFT.fullmatch(name) is not None


def why_not(part: str) -> str:
    """Why a name cannot stand between the slashes of a key; "" when it can."""
    if part in ("", ".", ".."):
        return "it has an empty part, or one that is only dots"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in part):
        return "it has a control character, or one that cannot be written as UTF-8"
    if len(part.encode()) > LONGEST_PART:
        return f"a part of it is longer than {LONGEST_PART} bytes"
    if is_draft(part):
        return "that is how drafts are called here"
    return ""


def parts_of(key: str) -> tuple[str, ...]:
    """The parts of a key: the folders, then the name of the file. Raises `BadKey`."""
    parts = tuple(key.split("/"))
    for part in parts:
        if reason := why_not(part):
            raise BadKey(f"{key!r} cannot be a key: {reason}")
    if len(key.encode()) > LONGEST_KEY:
        raise BadKey(f"{key!r} cannot be a key: it is longer than {LONGEST_KEY} bytes")
    return parts


def size_of(text: int | str) -> int:
    """A number of bytes, given as one or as a person writes it: "200 MB", "1.5 GiB", "0". Raises `ConfigError`."""
    if isinstance(text, str):
        found = _SIZE.fullmatch(text)
        if found is None:
            raise ConfigError(f'min_free = "{text}" is not a size; write bytes as a number, or a text such as "200 MB"')
        number, prefix, binary = found.groups()
        return int(float(number) * (1024 if binary else 1000) ** _POWERS[prefix.lower()])
    if text < 0:
        raise ConfigError(f"min_free = {text} is less than nothing")
    return text
