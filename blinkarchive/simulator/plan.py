"""What a world is like at its start: figures in Python, or a small TOML file.

The keys of the file, all optional, with their defaults:

    seed = 1                              # the same file makes the same clips
    until = 2026-01-01T00:00:00Z          # when the newest clip may have been recorded; without it: now
    days = 3.0                            # over how many days before that the clips are spread
    bursts = 0.0                          # which share of them was recorded in the same second as another one
    clip_bytes = [100_000, 700_000]       # the smallest and the largest film
    film_index = "mixed"                  # where a film's index stands: "first", "last"
    media_paths = "mixed"                 # the family of media addresses: "v2", "v3"

    [rules]                               # how the cloud behaves; see `Rules`
    page_size = 500

    [[account]]                           # at least one
    username = "owner@example.org"
    password = "…"
    second_factor = "202"                 # how a code is asked for: "202", "412", or "none"
    code = "123456"
    tier = "u011"
    subscription = true                   # false: what is recorded from now on is kept by a stick only
    clips = 60                            # spread over its cameras

    [[account.network]]                   # at least one
    name = "Home"
    time_zone = "Europe/Berlin"
    armed = true

    [[account.network.sync_module]]       # none: a network of cameras that need no module
    name = "My Blink Sync Module"
    local_storage = "active"              # or unavailable, unmounted, format_required, memory_full, incompatible
    clips = 0                             # on its stick
    uplink = 500_000                      # bytes a second it uploads with; 0: as fast as it goes
    online = true

    [[account.network.camera]]
    name = "Front Door"
    type = "catalina"                     # owl, hawk, superior are wired, lotus is a doorbell, others have a battery
    enabled = true
    formerly = ""                         # the name under which the older half of its clips on a stick were recorded

    [[fault]]                             # see `Fault`
    name = "media.cut"
    times = 2
"""

from __future__ import annotations

import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from blinkarchive.errors import ConfigError
from blinkarchive.simulator.faults import Fault
from blinkarchive.simulator.footage import SMALLEST
from blinkarchive.simulator.stick import OldManifest

SecondFactor = Literal["none", "202", "412"]
"""Whether a code is asked for after the password, and the status of the answer that asks for it."""


ManifestTimes = Literal["created_at", "millis"]
ManifestPlace = Literal["command", "part", "newer"]
"""A text, or milliseconds since 1970."""


class _Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Rules(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How the cloud behaves. A test may change them while it runs."""

    #: Items on a page of the media list; of the newer one (v4), 200 at the most.
    page_size: int = 500
    #: Whether the older homescreen (v3), media list (v1, v2) and deletion (v1) are served, or retired with this status.
    older_endpoints: Literal["served", 404, 410, 426] = "served"
    order: Literal["newest-first", "shuffled"] = "newest-first"
    #: In seconds, for tokens given from now on.
    access_token_life: float = 14400.0
    #: Whether a refresh token dies when it is used ("strict") or stays good ("lenient").
    refresh: Literal["lenient", "strict"] = "lenient"
    #: How many passwords an account may be tried with within an hour before it is locked; 0 means any number.
    signin_limit: int = 20
    wrong_code_status: Literal[400, 412] = 400
    #: Whether a request with a token that names an app version (User-Agent `Blink/…`, or APP-BUILD) is answered 426.
    app_versions: Literal["refused", "accepted"] = "refused"
    #: Whether fetching a film marks it as watched, which moves its `updated_at`.
    fetching_watches: bool = False
    #: In seconds, how long a clip that is recorded from now on is listed as partial, with half a film.
    partial_for: float = 0.0
    #: In seconds, from asking a device for something to its being done.
    command_time: float = 3.0
    #: In seconds, from asking a module for its manifest to its being there.
    manifest_time: float = 3.0
    #: How the newer form of a manifest tells when a clip was recorded.
    manifest_times: ManifestTimes = "created_at"
    #: Where a manifest is kept: for its command, for the part of the command, or only in the newer form (of the part).
    manifest_place: ManifestPlace = "command"
    #: Whether modules number manifests and clips, or give them other ids.
    local_ids: Literal["numbers", "letters"] = "numbers"
    #: In seconds, what a module does before the first byte of an upload.
    upload_start: float = 0.1
    #: In seconds, how long a clip that was uploaded can be fetched.
    upload_life: float = 3600.0
    #: How many commands a module takes before it says that it is busy; it carries them out one after another.
    module_queue: int = 1
    #: What a clip's number is worth with a manifest that is no longer the last one.
    old_manifest: OldManifest = "refused"
    #: In seconds, before every film.
    latency: float = 0.0
    #: In bytes a second, for each connection that carries a film; 0 means as fast as it goes.
    bandwidth: int = 0

    def __post_init__(self) -> None:
        if self.page_size < 1:
            raise ValueError("page_size is at least 1")
        if self.module_queue < 1:
            raise ValueError("module_queue is at least 1")
        times = (self.command_time, self.manifest_time, self.upload_start, self.upload_life, self.latency, self.partial_for)
        if min(self.access_token_life, self.signin_limit, self.bandwidth, *times) < 0:
            raise ValueError("a rule is not negative")


class CameraPlan(_Described, frozen=True, kw_only=True):
    """A camera."""

    name: str
    type: str = "catalina"
    #: Whether it records when something moves.
    enabled: bool = True
    #: The name under which the older half of its clips on a stick were recorded; "" is its present one.
    formerly: str = ""


class SyncModulePlan(_Described, frozen=True, kw_only=True):
    """A sync module."""

    name: str = "My Blink Sync Module"
    local_storage: Literal["active", "unavailable", "unmounted", "format_required", "memory_full", "incompatible"] = "active"
    #: How many are on its stick.
    clips: int = 0
    #: In bytes a second, from the module to the cloud; 0 is as fast as it goes.
    uplink: int = 500_000
    online: bool = True

    def __post_init__(self) -> None:
        if min(self.clips, self.uplink) < 0:
            raise ValueError("clips and uplink are not negative")


class NetworkPlan(_Described, frozen=True, kw_only=True):
    """A network: what the app calls a system."""

    name: str
    time_zone: str = "Europe/Berlin"
    armed: bool = True
    sync_modules: tuple[SyncModulePlan, ...] = msgspec.field(default=(), name="sync_module")
    cameras: tuple[CameraPlan, ...] = msgspec.field(default=(), name="camera")

    def __post_init__(self) -> None:
        if not self.cameras and any(module.clips for module in self.sync_modules):
            raise ValueError("a network with clips on a stick has at least one camera")


class AccountPlan(_Described, frozen=True, kw_only=True):
    """An account, its house and its clips."""

    username: str
    password: str
    second_factor: SecondFactor = "202"
    code: str = "123456"
    tier: str = "u011"
    #: Whether the cloud keeps what is recorded from now on; without it, only a stick does.
    subscription: bool = True
    #: How many, spread over its cameras.
    clips: int = 60
    networks: tuple[NetworkPlan, ...] = msgspec.field(name="network")

    def __post_init__(self) -> None:
        if not self.networks:
            raise ValueError("an account has at least one network")
        if self.clips < 0:
            raise ValueError("clips is not negative")
        if self.clips and not any(network.cameras for network in self.networks):
            raise ValueError("an account with clips has at least one camera")


class WorldPlan(_Described, frozen=True, kw_only=True):
    """A whole world."""

    seed: int = 1
    #: Aware; None is the moment the world is made.
    until: datetime | None = None
    days: float = 3.0
    #: From 0 to 1.
    bursts: float = 0.0
    clip_bytes: tuple[int, int] = (100_000, 700_000)
    film_index: Literal["first", "last", "mixed"] = "mixed"
    media_paths: Literal["v2", "v3", "mixed"] = "mixed"
    accounts: tuple[AccountPlan, ...] = msgspec.field(name="account")
    rules: Rules = msgspec.field(default_factory=Rules)
    faults: tuple[Fault, ...] = msgspec.field(default=(), name="fault")

    def __post_init__(self) -> None:
        low, high = self.clip_bytes
        if not SMALLEST <= low <= high:
            raise ValueError(f"clip_bytes are two numbers of at least {SMALLEST}, the smaller one first")
        if self.until is not None and self.until.tzinfo is None:
            raise ValueError("until has a zone, such as 2026-01-01T00:00:00Z")
        if self.days < 0:
            raise ValueError("days is not negative")
        if not 0 <= self.bursts <= 1:
            raise ValueError("bursts is a share, from 0 to 1")
        names = [account.username for account in self.accounts]
        if not names or len(set(names)) < len(names):
            raise ValueError("there is at least one account, and no two with the same username")


def read(path: Path) -> WorldPlan:
    """The plan in a TOML file. Raises `ConfigError` that names the file and the key."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), WorldPlan)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file ({error})") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_in_words(str(error))}") from error


def _in_words(complaint: str) -> str:
    """What msgspec says, with the table in front: "account[0]: unknown key `usernam`"."""
    what, _, where = complaint.partition(" - at `$")
    what = what.replace("Object contains unknown field", "unknown key").replace("Object missing required field", "missing key")
    where = re.sub(r"^\.|`$", "", where)
    return f"{where}: {what}" if where else what
