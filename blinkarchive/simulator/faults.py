"""What goes wrong, where, and how often: scripted beforehand, and noted when it has happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

FIRED_KEPT = 100_000


class Place(StrEnum):
    """Where a fault may strike."""

    AUTHORIZE = "authorize"
    """Both calls of /oauth/v2/authorize."""
    SIGNIN = "signin"
    """The password is sent."""
    VERIFY = "verify"
    """The second factor is sent."""
    TOKEN = "token"  # noqa: S105 - the name of a place
    TIER = "tier"
    HOMESCREEN = "homescreen"
    NETWORKS = "networks"
    LIST = "list"
    """A page of the media list."""
    MEDIA = "media"
    """A clip's film."""
    THUMBNAIL = "thumbnail"
    OWNER = "owner"
    """Who the owner is, and what they want to be told of."""
    DELETE = "delete"
    """Clips of the cloud are deleted."""
    DEVICE = "device"
    """Settings, state or signals of a network, a sync module or a camera are read."""
    CONTROL = "control"
    """A camera is asked for something: to watch or not, a picture, a clip, other settings."""
    ARM = "arm"
    """A network is armed or disarmed."""
    COMMAND = "command"
    """The state of a command is read."""
    STORAGE = "storage"
    """The state of a stick is read, or it is ejected, mounted, formatted, emptied."""
    MANIFEST = "manifest"
    """A module is asked for its manifest."""
    MANIFEST_READ = "manifest-read"
    """The manifest is read."""
    UPLOAD = "upload"
    """A module is asked to upload a clip."""
    LOCAL_MEDIA = "local-media"
    """The film of a clip that was uploaded."""
    LOCAL_DELETE = "local-delete"
    """A module is asked to delete a clip."""


class Kind(StrEnum):
    """What happens there."""

    STATUS = "status"
    """An answer with `status` (500) and, for some statuses, the body the cloud is known to send with it; or `body`."""
    JSON_ERROR = "json-error"
    """An error where it is not expected: status 200 and `{"message", "code"}`, or `body`, as JSON."""
    HTML = "html"
    """A page of an edge server, with `status` (200)."""
    GARBAGE = "garbage"
    """Status 200, and under the type `application/json` something else."""
    EMPTY = "empty"
    """Status 200 and no body at all."""
    SHORT = "short"
    """Status 200, the expected type, and 20 bytes."""
    CUT = "cut"
    """The right length is promised, `after` bytes (half) come, and the connection ends."""
    CUT_UNMARKED = "cut-unmarked"
    """No length is promised, `after` bytes (half) come, and the answer ends as if it were whole."""
    CUT_CHUNKED = "cut-chunked"
    """The answer comes in chunks; after `after` bytes (half) the connection ends, and the last chunk never comes."""
    TOO_LONG = "too-long"
    """A length is promised that is `after` (1000) more than the whole; the whole comes, and the connection ends."""
    TOO_SHORT = "too-short"
    """A length is promised that is `after` (1000) less than the whole, and only that much comes."""
    TRAILING = "trailing"
    """After the whole come `after` bytes (1000) more, and the length that is promised counts them."""
    COMPRESSED = "compressed"
    """The whole, compressed as `to` says: "gzip" or "deflate"."""
    DRIP = "drip"
    """The answer comes at `rate` bytes (1000) a second."""
    HANG = "hang"
    """No answer, until the client goes away or the simulator ends."""
    DROP = "drop"
    """The connection ends without an answer, and nothing was done."""
    LOSE = "lose"
    """What was asked for is done, and the connection ends without an answer."""
    DELAY = "delay"
    """The answer comes `seconds` (1) later."""
    REDIRECT = "redirect"
    """An answer that leads to `to`, with `status` (302)."""
    INVALID_GRANT = "invalid-grant"
    """The token endpoint's answer for a refresh token that is no longer good (status 400)."""
    PATH = "path"
    """In the list, the item's `media` is `to`, whatever that is."""
    INSERT = "insert"
    """A new clip comes in just before the page is read."""
    DELETE = "delete"
    """The newest clip is gone for good just before the page or the manifest is made."""
    RENUMBER = "renumber"
    """The module starts anew just before, and gives its clips other numbers."""
    UNPLUG = "unplug"
    """The stick's state becomes `to` ("unavailable") just before."""
    BUSY = "busy"
    """The module is busy with something else: status 409, code 307."""
    NOT_READY = "not-ready"
    """The manifest is not there yet: status 409, code 2102; or `status`, and `body`."""
    FAIL = "fail"
    """The command is accepted, and ends badly: `status` in its `status_code`, or 908, which says that all is well."""
    STALL = "stall"
    """The command is accepted, and never ends."""
    LIE = "lie"
    """The command is accepted and ends well, and nothing was done."""


_LISTS = {Place.LIST, Place.MANIFEST}
_FILMS = {Place.MEDIA, Place.LOCAL_MEDIA}
_OF_A_STICK = {Place.MANIFEST, Place.UPLOAD, Place.LOCAL_DELETE}
_COMMANDS = {Place.CONTROL, Place.ARM, Place.STORAGE, *_OF_A_STICK}

_ONLY_AT = {
    Kind.INVALID_GRANT: {Place.TOKEN},
    Kind.PATH: {Place.LIST},
    Kind.INSERT: _LISTS,
    Kind.DELETE: _LISTS,
    Kind.CUT: _FILMS,
    Kind.CUT_UNMARKED: _FILMS,
    Kind.CUT_CHUNKED: _FILMS,
    Kind.TOO_LONG: _FILMS,
    Kind.TOO_SHORT: _FILMS,
    Kind.TRAILING: _FILMS,
    Kind.COMPRESSED: _FILMS,
    Kind.SHORT: _FILMS,
    Kind.DRIP: _FILMS,
    Kind.RENUMBER: _OF_A_STICK,
    Kind.UNPLUG: _OF_A_STICK,
    Kind.BUSY: _COMMANDS,
    Kind.NOT_READY: {Place.MANIFEST_READ},
    Kind.FAIL: _COMMANDS,
    Kind.STALL: _COMMANDS,
    Kind.LIE: {Place.DELETE, *_COMMANDS},
    Kind.LOSE: set(Place) - _FILMS,
}

CHANGES = frozenset({Kind.INSERT, Kind.DELETE, Kind.PATH, Kind.RENUMBER, Kind.UNPLUG})
"""Kinds that change the world or an item of the list, and leave the answer to its usual way."""

OUTCOMES = frozenset({Kind.FAIL, Kind.STALL, Kind.LIE})
"""Kinds that decide how what was accepted ends."""

ANSWERS = frozenset(Kind) - CHANGES - OUTCOMES
"""Kinds that take the place of the usual answer, or delay or spoil it."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault: which requests it strikes, how often, and what it does. Also a `[[fault]]` table of a world's file."""

    #: "place.kind", such as "media.cut".
    name: str
    #: How many requests it strikes; 0 means every one.
    times: int = 1
    #: How many requests that it could have struck it lets pass before.
    skip: int = 0
    #: Only a request for this clip: its id in the cloud, or the number a module gives it.
    clip: int | None = None
    #: Only a request for a clip of a camera with this name.
    camera: str | None = None
    #: Only a request for this page of the list, the first being 1.
    page: int | None = None
    #: Only a request of the account with this username.
    account: str | None = None
    #: Only a request for the sync module with this name.
    module: str | None = None

    status: int | None = None
    #: In seconds, or any text, as the header `Retry-After`.
    retry_after: int | str | None = None
    body: str | None = None
    #: In bytes.
    after: int | None = None
    #: In bytes a second.
    rate: int = 1000
    seconds: float = 1.0
    to: str = ""

    def __post_init__(self) -> None:
        place, _, kind = self.name.partition(".")
        if place not in set(Place):
            raise ValueError(f"fault {self.name!r}: no such place; there are {', '.join(Place)}")
        if kind not in set(Kind) or Place(place) not in _ONLY_AT.get(Kind(kind), set(Place)):
            raise ValueError(f"fault {self.name!r}: no such fault at this place")
        if self.times < 0 or self.skip < 0:
            raise ValueError(f"fault {self.name!r}: times and skip are not negative")
        if self.rate < 1:
            raise ValueError(f"fault {self.name!r}: rate is at least 1 byte a second")

    @property
    def place(self) -> Place:
        return Place(self.name.partition(".")[0])

    @property
    def kind(self) -> Kind:
        return Kind(self.name.partition(".")[2])

    def fits(self, target: Target) -> bool:
        """Whether it is meant for a request like this."""
        pairs = (
            (self.account, target.account),
            (self.clip, target.clip),
            (self.camera, target.camera),
            (self.module, target.module),
            (self.page, target.page),
        )
        return all(wanted is None or wanted == asked for wanted, asked in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request asks for, as far as a fault may care."""

    #: A username.
    account: str | None = None
    #: Its id in the cloud, or the number a module gives it now.
    clip: int | None = None
    #: A camera's name; of a clip on a stick, the one it was recorded under.
    camera: str | None = None
    #: A sync module's name.
    module: str | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A fault that has struck."""

    fault: Fault
    target: Target

    @property
    def name(self) -> str:
        return self.fault.name


class Faults:
    """The script. The first fault that fits a request strikes; one that is used up is as if it were not there."""

    def __init__(self) -> None:
        self._script: list[_Standing] = []
        #: What has struck so far, oldest first.
        self.fired: deque[Fired] = deque(maxlen=FIRED_KEPT)

    def plan(self, fault: Fault) -> Fault:
        """Put a fault at the end of the script."""
        self._script.append(_Standing(fault))
        return fault

    def add(
        self,
        name: str,
        *,
        times: int = 1,
        skip: int = 0,
        clip: int | None = None,
        camera: str | None = None,
        page: int | None = None,
        account: str | None = None,
        module: str | None = None,
        status: int | None = None,
        retry_after: int | str | None = None,
        body: str | None = None,
        after: int | None = None,
        rate: int = 1000,
        seconds: float = 1.0,
        to: str = "",
    ) -> Fault:
        """Put a fault at the end of the script: `Fault` says what each word means. Raises `ValueError` for a wrong name."""
        return self.plan(
            Fault(
                name=name,
                times=times,
                skip=skip,
                clip=clip,
                camera=camera,
                page=page,
                account=account,
                module=module,
                status=status,
                retry_after=retry_after,
                body=body,
                after=after,
                rate=rate,
                seconds=seconds,
                to=to,
            )
        )

    @property
    def planned(self) -> list[Fault]:
        """The script, whether its faults have struck or not."""
        return [standing.fault for standing in self._script]

    def clear(self) -> None:
        """Take every fault out of the script; what has struck stays noted."""
        self._script.clear()

    def count(self, name: str) -> int:
        """How often faults of this name have struck."""
        return sum(fired.name == name for fired in self.fired)

    def expect(self, place: Place, kind: Kind) -> bool:
        """Whether the script knows of such a fault at all."""
        return any(standing.place is place and standing.kind is kind for standing in self._script)

    def strike(self, place: Place, target: Target, kinds: frozenset[Kind] = ANSWERS) -> Fault | None:
        """The first fault of these kinds that strikes this request, noted as fired; None when none does."""
        return next(self._striking(place, target, kinds), None)

    def strike_all(self, place: Place, target: Target, kinds: frozenset[Kind]) -> list[Fault]:
        """Every fault of these kinds that strikes this request, noted as fired."""
        return list(self._striking(place, target, kinds))

    def _striking(self, place: Place, target: Target, kinds: frozenset[Kind]) -> Iterator[Fault]:
        for standing in self._script:
            fault = standing.fault
            if standing.place is place and standing.kind in kinds and fault.fits(target) and standing.strikes():
                self.fired.append(Fired(fault=fault, target=target))
                yield fault


class _Standing:
    """A fault in the script, and how much of it is left."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.place, self.kind = fault.place, fault.kind  # once: every request and every item of a list is asked for them
        self._passed = 0
        self._struck = 0

    def strikes(self) -> bool:
        """Whether it strikes the request that it fits."""
        if self.fault.times and self._struck >= self.fault.times:
            return False
        if self._passed < self.fault.skip:
            self._passed += 1
            return False
        self._struck += 1
        return True
