"""Sizes as people write them."""

import re

from blinkarchive import ConfigError

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?\s*")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


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
