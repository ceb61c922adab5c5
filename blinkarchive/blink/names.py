"""Things by the names their owner gave them, although those need not be unique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

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
    enough. The bare name is then a `KeyError` that says which names there are, and so is any other name or id that could mean
    several: nothing is dropped, and nothing is guessed.
    """

    def __init__(self, entries: Iterable[Entry[T]] = ()) -> None:
        known = list(entries)
        names = _unique(known)
        self._things = {name: entry.thing for entry, name in zip(known, names, strict=True)}
        self._names = {name.casefold(): [name] for name in names}
        self._by_name: dict[str, list[str]] = {}
        self._otherwise: dict[str, list[str]] = {}
        for entry, name in zip(known, names, strict=True):
            self._by_name.setdefault(entry.name.casefold(), []).append(name)
            for each in {str(entry.id), *(other.casefold() for other in entry.also)}:
                self._otherwise.setdefault(each, []).append(name)

    def __getitem__(self, key: str | int) -> T:
        asked = str(key).casefold()
        found = [] if isinstance(key, int) else self._names.get(asked) or self._by_name.get(asked, [])
        found = found or self._otherwise.get(asked, [])
        if len(found) > 1:
            raise KeyError(f"several are called {key!r}: {', '.join(map(repr, found))}")
        if not found:
            raise KeyError(key)
        return self._things[found[0]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __repr__(self) -> str:
        return f"Named({self._things!r})"


def _unique(entries: list[Entry[T]]) -> list[str]:
    """A name of its own for each."""
    bare = Counter(entry.name.casefold() for entry in entries)
    longer = [
        entry.name if bare[entry.name.casefold()] == 1 else _told(entry.name, entry.where or str(entry.id)) for entry in entries
    ]
    again = Counter(name.casefold() for name in longer)
    taken: set[str] = set()
    names = []
    for entry, name in zip(entries, longer, strict=True):
        wanted = found = name if again[name.casefold()] == 1 else _told(entry.name, entry.where, str(entry.id))
        number = 1
        while found.casefold() in taken:
            number += 1
            found = f"{wanted} #{number}"
        taken.add(found.casefold())
        names.append(found)
    return names


def _told(name: str, *what: str) -> str:
    told = ", ".join(filter(None, what))
    return f"{name} ({told})" if told else name


class HasName(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str: ...


Thing = TypeVar("Thing", bound=HasName)


def meant(recorded: str, cameras: Iterable[Thing]) -> Thing | None:
    """The camera that a clip on a stick was recorded by, when no other one could be meant by its name."""
    found = [camera for camera in cameras if bare(camera.name) == bare(recorded)]
    return found[0] if len(found) == 1 else None


def bare(name: str) -> str:
    """A camera's name as the older manifests write it: letters, digits and underscores alone. Both forms of a manifest agree."""
    return "".join(letter for letter in name if letter.isalnum() or letter == "_")
