"""Things by the names their owner gave them, although those need not be unique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[T]):
    """A thing, and how it is called."""

    thing: T
    id: int
    name: str
    #: What tells it from others of its name: the network of a camera.
    where: str = ""
    #: Other names it is found by, where nothing else has them.
    also: tuple[str, ...] = ()


class Named(Mapping[str, T]):
    """Things by name, without regard to upper and lower case, and by id (a number, or its digits).

    A name that several have is followed by what tells them apart: `Front Door (Home)`, and by the id as well where that is not
    enough. The bare name is then a `KeyError` that says which names there are: nothing is dropped, and nothing is guessed.
    """

    def __init__(self, entries: Iterable[Entry[T]] = ()) -> None:
        self._things: dict[str, T] = {}
        self._keys: dict[str, str] = {}
        self._shared: dict[str, list[str]] = {}
        known = list(entries)
        for entry, name in zip(known, _unique(known), strict=True):
            self._things[name] = entry.thing
            self._keys[name.casefold()] = name
            if name != entry.name:
                self._shared.setdefault(entry.name.casefold(), []).append(name)
        for entry, name in zip(known, list(self._things), strict=True):
            for other in (*entry.also, str(entry.id)):
                self._keys.setdefault(other.casefold(), name)

    def __getitem__(self, key: str | int) -> T:
        asked = str(key).casefold()
        if asked in self._keys:
            return self._things[self._keys[asked]]
        if asked in self._shared:
            raise KeyError(f"several are called {key!r}: {', '.join(map(repr, self._shared[asked]))}")
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __repr__(self) -> str:
        return f"Named({self._things!r})"


def _unique(entries: list[Entry[T]]) -> list[str]:
    """A name of its own for each."""
    bare = Counter(entry.name.casefold() for entry in entries)
    longer = [entry.name if bare[entry.name.casefold()] == 1 else f"{entry.name} ({entry.where})" for entry in entries]
    again = Counter(name.casefold() for name in longer)
    return [
        name if again[name.casefold()] == 1 else f"{entry.name} ({', '.join(filter(None, (entry.where, str(entry.id))))})"
        for entry, name in zip(entries, longer, strict=True)
    ]


def bare(name: str) -> str:
    """A camera's name as the older manifests write it: letters, digits and underscores alone. Both forms of a manifest agree."""
    return "".join(letter for letter in name if letter.isalnum() or letter == "_")
