"""The plugin API is what it was: `plugin_api.txt` has a line for each thing that a plugin may rely on.

`make api` writes it anew.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import NewType

import pytest

import blinkarchive
from blinkarchive import conformance, errors, files, hookspecs, model
from blinkarchive.conformance import plugin
from blinkarchive.pipeline.lane import MARKER
from blinkarchive.pipeline.naming import CATALOG
from blinkarchive.registry import RESERVED

SNAPSHOT = Path(__file__).with_name("plugin_api.txt")

SEEN = [model.Trouble]
"""What no plugin imports, and hooks see in what they are told."""
AUTHORS = ["open_sink", "flip_a_stored_byte", "take_away"]
"""What an author overrides in `SinkContract`, beside its figures."""
MADE_BY_PLUGINS = ("SinkType", "Stored", "Introduction")

ADDED = """
Added to the plugin API:
{}
That breaks no plugin. If it is meant: `make api` takes it into tests/plugin_api.txt; CHANGELOG.md gets a line under "Added".
"""
BROKEN = """
Removed from the plugin API, or changed, or demanded of plugins anew:
{}
That may break plugins that exist. If it is not meant: undo it. docs/writing-a-sink.md ("Versions, and what we promise") allows
it only after at least one minor release in which the old way still worked, raised a `DeprecationWarning` where Python can see
the use, and stood in the changelog. If there was one: `make api`, and a line in CHANGELOG.md under "Changed" or "Removed".
"""


def test_the_plugin_api_is_the_one_that_was_written_down() -> None:
    if told := difference(SNAPSHOT.read_text().splitlines(), lines()):
        pytest.fail(told, pytrace=False)


def test_what_is_added_and_what_breaks_is_told_apart() -> None:
    before = ["blinkarchive.Copy: size: int", "blinkarchive.Sink.delete(self, key: Key) -> None"]
    field = "blinkarchive.Copy: plain: str | None = None"
    assert difference(before, before) == ""
    assert difference(before, [*before, field]) == ADDED.format(f"  + {field}")
    assert difference([*before, field], before) == BROKEN.format(f"  - {field}")
    changed = before[1].replace("Key", "str")
    assert difference(before, [before[0], changed]) == BROKEN.format(f"  - {before[1]}\n  + {changed}")
    for demand in (
        "blinkarchive.Sink.rename(self, old: Key, new: Key) -> None",
        "blinkarchive.Stored: etag: str",
        "reserved: [sink.NAME] weight",
    ):
        assert difference(before, [*before, demand]) == BROKEN.format(f"  + {demand}")


def difference(before: list[str], now: list[str]) -> str:
    """What has changed, and what to do about it; "" when nothing has."""
    removed = [line for line in before if line not in now]
    added = [line for line in now if line not in before]
    names = {_name(line) for line in removed}
    broken = [f"  - {line}" for line in removed] + [f"  + {line}" for line in added if _name(line) in names or _demands(line)]
    new = [f"  + {line}" for line in added if f"  + {line}" not in broken]
    return (BROKEN.format("\n".join(broken)) if broken else "") + (ADDED.format("\n".join(new)) if new else "")


def _name(line: str) -> str:
    """What the line is about, without how it is called or what it is."""
    return re.match(r"[^:(=>]+(: \w+)?", line)[0]  # type: ignore[index]  # it matches any line


def _demands(line: str) -> bool:
    """Whether a plugin that does without it is wrong from then on."""
    made = line.startswith(tuple(f"blinkarchive.{name}: " for name in MADE_BY_PLUGINS))
    return line.startswith(("blinkarchive.Sink.", "reserved: ")) or (made and " = " not in line)


def lines() -> list[str]:
    """The API, a line for each thing in it, in an order that never changes."""
    found = set(_module(blinkarchive, blinkarchive.__all__))
    for module in (errors, files):
        names = [name for name, it in vars(module).items() if getattr(it, "__module__", "") == module.__name__ and name[0] != "_"]
        found |= set(_module(module, names))
    for kind in SEEN:
        found |= set(_class(f"blinkarchive.model.{kind.__name__}", kind))
    found |= set(_conformance())
    for name, hook in vars(hookspecs).items():
        if name.startswith("blinkarchive_"):
            found.add(f"hook {name} -> {inspect.signature(hook).return_annotation}")
            found |= {f"hook {name}: {argument}" for argument in _parameters(hook)}
    found.add(f"entry points: {hookspecs.PROJECT}")
    found |= {f"reserved: [sink.NAME] {key}" for key in RESERVED} | {f"reserved: {key}" for key in (MARKER, CATALOG)}
    return sorted(found)


def _module(module: ModuleType, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        it, where = getattr(module, name), f"{module.__name__}.{name}"
        if inspect.isclass(it):
            yield from _class(where, it)
        elif inspect.isfunction(it):
            yield where + _signature(it)
        elif isinstance(it, NewType):
            yield f"{where} = NewType of {it.__supertype__.__name__}"
        else:
            yield f"{where}: {type(it).__name__}"


def _class(where: str, kind: type) -> Iterator[str]:
    bases = [base.__name__ for base in kind.__bases__ if base is not object]
    yield f"{where}({', '.join(bases)})"
    facts = {fact.name: fact for fact in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    for fact in facts.values():
        default = "" if fact.default is dataclasses.MISSING else f" = {_shown(fact.default)}"
        yield f"{where}: {fact.name}: {fact.type}{default or (' = a new one' if callable(fact.default_factory) else '')}"
    for name, it in vars(kind).items():
        if name in facts or (name.startswith("_") and (facts or name != "__init__")):
            continue
        if isinstance(it, property) and it.fget:
            yield f"{where}.{name} -> {inspect.signature(it.fget).return_annotation}"
        elif isinstance(it, Enum):
            yield f"{where}.{name} = {it.value!r}"
        elif inspect.isfunction(it) and it.__module__ == kind.__module__:
            yield f"{where}.{name}{_signature(it)}"


def _conformance() -> Iterator[str]:
    contract = conformance.SinkContract
    for name in conformance.__all__:
        yield f"{conformance.__name__}.{name}"
    for name in dir(contract):
        if name.isupper():
            yield f"{conformance.__name__}.SinkContract: {name} = {getattr(contract, name)!r}"
    for name in AUTHORS:
        yield f"{conformance.__name__}.SinkContract.{name}"
    yield f"fixture {plugin.make_content.__name__}"


def _signature(function: Callable[..., object]) -> str:
    """How it is called. Annotations stand as they are written."""
    called = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))
    return called + (" (async)" if inspect.iscoroutinefunction(function) else "")


def _parameters(function: Callable[..., object]) -> list[str]:
    return [re.sub(r": '([^']*)'", r": \1", str(one)) for one in inspect.signature(function).parameters.values()]


def _shown(value: object) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) else repr(value)


if __name__ == "__main__":
    SNAPSHOT.write_text("".join(f"{line}\n" for line in lines()))
