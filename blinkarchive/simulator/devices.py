"""The things in an account's house: networks, sync modules with their sticks, cameras."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from blinkarchive.simulator.footage import Take
from blinkarchive.simulator.stick import Stick

Family = Literal["cameras", "owls", "doorbells"]
"""What Blink calls cameras with batteries, wired ones, and doorbells."""

READABLE = ("active", "memory_full")
"""The states of a stick whose clips can be fetched."""

_INSTALLED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True, eq=False)
class Camera:
    """A camera of a house."""

    id: int
    name: str
    type: str
    network: Network = field(repr=False)
    #: Whether it records when something moves.
    enabled: bool
    #: "ok" or "low", of those that have one.
    battery: str = "ok"
    #: In degrees Fahrenheit.
    temperature: int = 68
    #: When its picture was taken.
    pictured_at: datetime = _INSTALLED
    #: What its owner has set, by the cloud's words.
    settings: dict[str, Any] = field(default_factory=dict)
    #: In which list of the homescreen it stands; "" is that of its family.
    listed_in: str = ""

    @property
    def family(self) -> Family:
        """In which list of the homescreen it stands, and in which addresses: "owls" are Minis and wired floodlights."""
        if self.type in ("owl", "hawk", "superior"):
            return "owls"
        return "doorbells" if self.type == "lotus" else "cameras"

    @property
    def reached(self) -> bool:
        """Whether its network's module, if it has one, hears it."""
        modules = self.network.sync_modules
        return not modules or any(module.online for module in modules)

    def picture(self, seed: int) -> Take:
        """What it saw when its picture was taken."""
        return Take(seed=seed, camera=self.id, clip=0, at=self.pictured_at, size=100_000)


@dataclass(slots=True, kw_only=True, eq=False)
class SyncModule:
    """A sync module and the state of its USB stick."""

    id: int
    name: str
    network: Network = field(repr=False)
    #: "active" and "memory_full" can be read.
    local_storage: str
    #: What the homescreen has in place of that; "" when it has no such field.
    listed_storage: str | None = None
    online: bool = True
    #: In bytes a second, from the module to the cloud; 0 is as fast as it goes.
    uplink: int = 500_000
    stick: Stick = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.stick = Stick(self.id)

    @property
    def readable(self) -> bool:
        """Whether its stick can be read."""
        return self.local_storage in READABLE


@dataclass(slots=True, kw_only=True, eq=False)
class Network:
    """A network of an account: what the app calls a system."""

    id: int
    name: str
    time_zone: str
    armed: bool
    cameras: list[Camera] = field(default_factory=list)
    sync_modules: list[SyncModule] = field(default_factory=list)
    #: Members of its body that its owner has set, by the cloud's words.
    settings: dict[str, Any] = field(default_factory=dict)
