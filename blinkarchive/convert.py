"""How a table of a config becomes a frozen dataclass, and how everything that is wrong with it is told at once."""

from __future__ import annotations

import importlib
import math
import os
import re
import tomllib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import timedelta
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from blinkarchive.errors import ConfigError, PluginError
from blinkarchive.secret import Secret, redact
from blinkarchive.when import parse_duration

T = TypeVar("T")

Size = NewType("Size", int)
"""A number of bytes: `0`, `500MB`, `2GB`, `8MiB`."""

Rate = NewType("Rate", int)
"""Bytes a second: `500KB/s`, `1MB/s`."""

_SIZE = re.compile(r"(?P<count>\d+)(?P<unit>[KMGT]i?B|B)", re.ASCII)
_SCALE: dict[str, int] = (
    {"B": 1} | {f"{p}B": 1000**n for n, p in enumerate("KMGT", 1)} | {f"{p}iB": 1024**n for n, p in enumerate("KMGT", 1)}
)


class FromEnvironment(str):
    """A value that came from an environment variable: a text, to be read as whatever the key takes."""

    __slots__ = ("variable",)
    variable: str

    def __new__(cls, value: str, variable: str) -> FromEnvironment:
        made = super().__new__(cls, value)
        made.variable = variable
        return made


_LARGEST_SECRET = 64 * 1024

_read_so_far: dict[tuple[str, str], Secret] = {}
"""Secrets that were read, by where and what: they stay known for as long as the program runs, so that no text shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """Where a secret is kept. It is read when it is needed, not before."""

    #: "inline" (in the config itself), "env", "file" or "keyring".
    kind: str
    #: The variable, the file, or `SERVICE/NAME` in the keyring. For "inline" it is "".
    at: str = ""
    inline: Secret | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def read(self) -> Secret | None:
        """The secret; None when the place holds none: no such variable, file or entry.

        Raises `ConfigError` when it cannot be read.
        """
        match self.kind:
            case "env":
                found = self.environ.get(self.at) or None
            case "file":
                found = _read_file(Path(self.at))
            case "keyring":
                found = _read_keyring(self.at)
            case _:
                return self.inline
        if found is None:
            return None
        return _read_so_far.setdefault((self.at, found), Secret(found))

    def __str__(self) -> str:
        match self.kind:
            case "env":
                return f"environment variable {self.at}"
            case "file":
                return f"file {self.at}"
            case "keyring":
                return f"keyring entry {self.at}"
            case _:
                return "the config itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a table was written."""

    #: None when nothing of it is in a file.
    file: Path | None = None
    #: The table's name as written between brackets: `account.home`.
    table: str = ""
    #: The line of each key of the file: (table…, key) > line.
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict, repr=False, compare=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def inner(self, name: str) -> Place:
        """The place of a table within this one."""
        return Place(file=self.file, table=f"{self.table}.{name}" if self.table else name, lines=self.lines, environ=self.environ)

    def say(self, key: str, what: str, value: object = None) -> str:
        """One line for a person: file, line, key, table, and what is wrong.

        A colon right after the key would make the words after `password` look like a password to those who hide one.
        """
        where = " in ".join(part for part in (key, f"[{self.table}]" if self.table else "") if part)
        if isinstance(value, FromEnvironment):
            return f"{value.variable} in the environment: {where}: {what}"
        parts = tuple(self.table.split(".")) if self.table else ()
        line = self.lines.get((*parts, key)) or self.lines.get(parts)
        start = "config" if self.file is None else str(self.file) if line is None else f"{self.file}:{line}"
        return f"{start}: {where}: {what}"

    def path(self, text: str) -> Path:
        """A path as the owner means it: `~` is the home folder; in a file, what is relative starts at the file's own folder."""
        path = Path(text).expanduser()
        if self.file is None or isinstance(text, FromEnvironment):
            return path.absolute()
        return self.file.absolute().parent / path


class Problems:
    """What is wrong with a config, gathered until all of it was looked at."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Note one more. What somebody wrote at the wrong place may be a secret."""
        line = redact(line)
        if line not in self._lines:
            self._lines.append(line)

    def check(self) -> None:
        """Raise one `ConfigError` that tells them all, if there are any."""
        if len(self._lines) > 1:
            raise ConfigError("\n  ".join((f"{len(self._lines)} things in the configuration cannot be used:", *self._lines)))
        if self._lines:
            raise ConfigError(self._lines[0])


class _Wrong(Exception):
    """A value that its key does not take; the message says what it takes. Without a message it has been told already."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "…"?` with the nearest known word, or else `; known: …`."""
    known = sorted(known)
    by_lower = {one.lower(): one for one in known}
    close = get_close_matches(word.lower(), by_lower, n=1)
    if close:
        return f'; did you mean "{by_lower[close[0]]}"?'
    return f"; known: {', '.join(known)}" if known else ""


def build(
    kind: type[T], raw: Mapping[str, object], place: Place, problems: Problems, given: Mapping[str, object] | None = None
) -> T | None:
    """Make a dataclass of a table; None when something was wrong, and then `problems` holds every thing that was.

    `given` holds fields that are no keys of the table. A `ValueError` or `ConfigError` of the class itself is a problem of
    the table. A field's `metadata` may hold `check`, which is called with its value and raises one of these two, and
    `named`, values that have a name.
    Raises `PluginError` when a field has a type that no table can fill.
    """
    values = dict(given or {})
    wanted = {one.name: one for one in keys_of(kind) if one.name not in values}
    hints = types_of(kind)
    sound = True
    for key, value in raw.items():
        try:
            if key not in wanted:
                raise _Wrong(f"no such key{nearest(key, wanted)}")
            values[key] = _field(wanted[key], hints[key], value, place, problems)
        except _Wrong as wrong:
            sound = False
            if wrong.args:
                problems.add(place.say(key, str(wrong), value))
    for name, one in wanted.items():
        if name not in raw and one.default is MISSING and one.default_factory is MISSING:
            sound = False
            problems.add(place.say(name, "missing, and it has no default"))
    if not sound:
        return None
    try:
        return kind(**values)
    except (ValueError, ConfigError) as error:
        problems.add(place.say("", str(error)))
        return None


def keys_of(kind: type[Any]) -> Sequence[Field[Any]]:
    """The fields of a dataclass that a table may fill. Raises `PluginError` when it is no dataclass."""
    if not is_dataclass(kind):
        raise PluginError(f"options must be a dataclass, and {kind!r} is none")
    return [one for one in fields(kind) if one.init]


def types_of(kind: type[Any]) -> dict[str, Any]:
    """The types of a dataclass's fields, resolved. Raises `PluginError` when one cannot be."""
    try:
        return get_type_hints(kind)
    except (NameError, TypeError) as error:
        raise PluginError(f"the types of {kind.__module__}.{kind.__qualname__} cannot be resolved: {error}") from error


def _field(one: Field[Any], hint: Any, value: object, place: Place, problems: Problems) -> Any:
    named: Mapping[str, object] | None = one.metadata.get("named")
    if named is not None and isinstance(value, str) and not value.startswith("{"):
        if value not in named:
            raise _Wrong(f'"{value}" is none of {", ".join(named)}, nor a table')
        return named[value]
    made = _value(hint, value, place, one.name, problems)
    check: Callable[[object], None] | None = one.metadata.get("check")
    if check is not None:
        try:
            check(made)
        except (ValueError, ConfigError) as error:
            raise _Wrong(str(error)) from error
    return made


def _value(hint: Any, value: object, place: Place, key: str, problems: Problems) -> Any:
    """The value as the type wants it; raises `_Wrong` when it cannot be."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _one_of([other for other in inside if other is not type(None)], value, place, key, problems)
    if origin is Literal:
        return _choice({str(choice): choice for choice in inside}, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice({str(member.value): member for member in hint}, value)
    if origin in (tuple, list, frozenset):
        return origin([_value(inside[0], item, place, key, problems) for item in _items(inside[0], value)])
    if origin in (dict, Mapping):
        table = _parsed(dict, "a table: { key = … }", value)
        return {name: _value(inside[1], item, place.inner(key), name, problems) for name, item in table.items()}
    if hint in _PLAIN:
        return _PLAIN[hint](value, place)
    if is_dataclass(hint) and isinstance(hint, type):
        made = build(hint, _parsed(dict, "a table: { key = … }", value), place.inner(key), problems)
        if made is None:
            raise _Wrong
        return made
    raise PluginError(f"{key} in [{place.table}]: a table cannot fill a field of the type {hint}")


def _items(hint: Any, value: object) -> list[Any]:
    """The items of a list. Of a list of secrets nothing is shown, and those of the environment stay known as such."""
    try:
        items = _parsed(list, "a list: [ …, … ]", value)
    except _Wrong:
        if not is_secret(hint):
            raise
        raise _Wrong('must be a list: [ { env = "VARIABLE" }, … ]') from None
    if hint is SecretRef and isinstance(value, FromEnvironment):
        return [FromEnvironment(item, value.variable) if isinstance(item, str) else item for item in items]
    return items


def is_secret(hint: object) -> bool:
    """Whether a field of this type holds a secret, or leads to one."""
    return hint in (Secret, SecretRef) or any(is_secret(inside) for inside in get_args(hint))


def _one_of(hints: Sequence[Any], value: object, place: Place, key: str, problems: Problems) -> Any:
    """The value as the first type that takes it."""
    said = []
    for hint in hints:
        try:
            return _value(hint, value, place, key, problems)
        except _Wrong as wrong:
            if not wrong.args:
                raise
            said.append(str(wrong))
    raise _Wrong(", or ".join(said))


def _choice(choices: Mapping[str, object], value: object) -> object:
    if isinstance(value, bool) or str(value) not in choices:
        raise _Wrong(f"{_shown(value)} is none of {', '.join(choices)}")
    return choices[str(value)]


def _parsed(kind: type[T], called: str, value: object) -> T:
    """A list or a table; from the environment it is read as TOML."""
    if isinstance(value, FromEnvironment):
        try:
            value = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            raise _Wrong(f"must be {called}") from None
    if not isinstance(value, kind):
        raise _Wrong(f"must be {called}, not {_shown(value)}")
    return value


def _text(value: object, place: Place) -> str:
    if not isinstance(value, str):
        raise _Wrong(f'must be a text: "…", not {_shown(value)}')
    return str(value)


def _yes_or_no(value: object, place: Place) -> bool:
    if isinstance(value, FromEnvironment) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise _Wrong(f"must be true or false, not {_shown(value)}")
    return value


def _whole(value: object, place: Place) -> int:
    if isinstance(value, FromEnvironment) and re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Wrong(f"must be a whole number, not {_shown(value)}")
    return value


def _number(value: object, place: Place) -> float:
    if isinstance(value, FromEnvironment):
        with suppress(ValueError):
            value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        raise _Wrong(f"must be a number, not {_shown(value)}")
    return float(value)


def _path(value: object, place: Place) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise _Wrong(f'must be a path: "…", not {_shown(value)}')
    try:
        return place.path(value)
    except RuntimeError as error:
        raise _Wrong(f"{_shown(value)}: {error}") from None


def _duration(value: object, place: Place) -> timedelta:
    if _is_zero(value):
        return timedelta()
    if not isinstance(value, str):
        raise _Wrong(f'must be a length of time: "30s", "5m", "12h", "7d" or "4w", not {_shown(value)}')
    try:
        return parse_duration(value)
    except ValueError as error:
        raise _Wrong(str(error)) from None


def _size(value: object, place: Place) -> Size:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return Size(int(match["count"]) * _SCALE[match["unit"]])
    if _is_zero(value):
        return Size(0)
    raise _Wrong(f'must be a size: "500MB", "2GB" or "8MiB", not {_shown(value)}')


def _rate(value: object, place: Place) -> Rate:
    if isinstance(value, str) and value.endswith("/s") and (match := _SIZE.fullmatch(value[:-2])):
        return Rate(int(match["count"]) * _SCALE[match["unit"]])
    raise _Wrong(f'must be a size a second: "500KB/s" or "2MB/s", not {_shown(value)}')


def _is_zero(value: object) -> bool:
    """The only number that needs no unit."""
    return value == "0" or (value == 0 and not isinstance(value, bool | float))


def _secret_ref(value: object, place: Place) -> SecretRef:
    if isinstance(value, FromEnvironment):
        return _at_hand(SecretRef(kind="env", at=value.variable, environ={value.variable: str(value)}))
    if isinstance(value, str) and value:
        return SecretRef(kind="inline", inline=Secret(str(value)))
    if isinstance(value, dict) and len(value) == 1:
        (kind, at), *_ = value.items()
        if kind in ("env", "file", "keyring") and isinstance(at, str) and at:
            ref = SecretRef(kind=kind, at=str(place.path(at)) if kind == "file" else at, environ=place.environ)
            return _at_hand(ref) if kind == "env" else ref
    raise _Wrong('must be one of { env = "VARIABLE" }, { file = "PATH" }, { keyring = "SERVICE/NAME" }, or a text')


def _at_hand(ref: SecretRef) -> SecretRef:
    """A secret that costs nothing to read is hidden in every text from the start."""
    ref.read()
    return ref


def _secret(value: object, place: Place) -> Secret:
    ref = _secret_ref(value, place)
    try:
        secret = ref.read()
    except ConfigError as error:
        raise _Wrong(str(error)) from error
    if secret is None:
        raise _Wrong(f"{ref} holds nothing")
    return secret


_PLAIN: Mapping[Any, Callable[[object, Place], Any]] = {
    str: _text,
    bool: _yes_or_no,
    int: _whole,
    float: _number,
    Path: _path,
    timedelta: _duration,
    Size: _size,
    Rate: _rate,
    Secret: _secret,
    SecretRef: _secret_ref,
}


def _shown(value: object) -> str:
    """A value as its owner wrote it, or nearly."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else str(value)


def _read_file(path: Path) -> str | None:
    try:
        with open(path, "rb", opener=_without_waiting) as file:  # a named pipe that nobody writes is no reason to wait
            text = file.read(_LARGEST_SECRET + 1)
        if len(text) > _LARGEST_SECRET:
            raise ConfigError(f"the secret in {path} cannot be read: more than {_LARGEST_SECRET:,} bytes. Is it the right file?")
        return text.decode("utf-8").strip("\r\n") or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the secret in {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _read_keyring(entry: str) -> str | None:
    service, _, name = entry.rpartition("/")
    if not service or not name:
        raise ConfigError(f'"{entry}" is no keyring entry; write "SERVICE/NAME"')
    try:
        keyring = importlib.import_module("keyring")
    except ImportError as error:
        raise ConfigError("secrets in a keyring need the package keyring: pip install keyring") from error
    try:
        found: str | None = keyring.get_password(service, name)
    except Exception as error:  # a keyring's back end may raise anything; the core must go on
        raise ConfigError(f"the keyring cannot be read: {error}") from error
    return found or None
