"""What an answer has to look like: types, values, members and alternatives, and everything that does not fit at once."""

from __future__ import annotations

import re
from typing import Any

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
"""A time as the cloud writes it."""


class OneOf:
    """Whatever fits one of these."""

    def __init__(self, *shapes: Any) -> None:
        self.shapes = shapes


def misfits(shape: Any, value: Any, where: str = "it") -> list[str]:
    """What is wrong with a value, in words.

    A dict wants these members and allows others, a list of one shape wants one item or more that fit it, a type wants exactly
    that type, a pattern wants a text that it matches whole; anything else wants itself.
    """
    match shape:
        case dict():
            if not isinstance(value, dict):
                return [f"{where} is {value!r}, not an object"]
            lacking = [f"{where} has no {key}" for key in shape if key not in value]
            there = [key for key in shape if key in value]
            return lacking + [fault for key in there for fault in misfits(shape[key], value[key], f"{where}.{key}")]
        case [of]:
            if not isinstance(value, list) or not value:
                return [f"{where} is {value!r}, not a list with something in it"]
            return [fault for number, item in enumerate(value) for fault in misfits(of, item, f"{where}[{number}]")]
        case OneOf():
            tried = [misfits(other, value, where) for other in shape.shapes]
            return [] if [] in tried else tried[0]
        case re.Pattern():
            return [] if isinstance(value, str) and shape.fullmatch(value) else [f"{where} is {value!r}, not {shape.pattern}"]
        case type():
            return [] if type(value) is shape else [f"{where} is {value!r}, not {shape.__name__}"]
        case _:
            return [] if value == shape else [f"{where} is {value!r}, not {shape!r}"]
