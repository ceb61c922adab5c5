"""The cloud's JSON as records: the only place that knows its words.

What is required is little: an id, and a clip's time. Everything else may be missing, null or of another type, and then
has its default; fields that are not named here are ignored. Where a list comes, each of its items is decoded on its own.
Every time is aware. Facts: observed answers of the servers, 2020 to 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from html import unescape
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from blinkarchive.blink.names import bare
from blinkarchive.interfaces import Unreadable
from blinkarchive.secret import Secret, redact

T = TypeVar("T")
S = TypeVar("S", bound=Struct)

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Opaque = Id | Annotated[str, Meta(max_length=100, pattern=r"\A[A-Za-z0-9_~:+=-][A-Za-z0-9._~:+=-]*\Z")]
"""An id of a sync module, known to be a number today. It only has to be right in a path."""
Moment = Annotated[datetime, Meta(tz=True)]

RAW_SHOWN = 4000
_LONGEST_WORDS = 200
_PAGE_HEAD = 4096
_LONGEST_KEY = 1000
MOST_MALFORMED = 100
"""How many malformed items of one answer are kept to be looked at; the others are counted."""

_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,500})", re.IGNORECASE)
_STAMP = re.compile(r"(?:[?&]ts=|\A)(\d{9,14})(?:&|\Z)")
_NAMED = re.compile(r"_(\d{4})_(\d\d)_(\d\d)__(\d\d)_(\d\d)(?:_(\d\d))?(?:[AP]M)?(?:\.jpg)?\Z")
_MILLIS = 10**11
"""A number of seconds is less than this, one of milliseconds is not."""


class NotAsPromised(ValueError):
    """A body that is not what its address promises. The message says where, and shows no values."""


# Sign-in


class TierInfo(Struct, frozen=True, kw_only=True):
    """Which server holds the account's data."""

    #: It becomes part of a host name, so it has nothing but letters, digits and hyphens.
    tier: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?\Z")]
    account_id: Id


class Grant(Struct, frozen=True, kw_only=True):
    """Tokens, as the token call gives them."""

    access_token: Secret
    refresh_token: Secret | None = None
    #: Seconds.
    expires_in: float = 14400.0


class CodeSent(Struct, frozen=True, kw_only=True):
    """A sign-in code is on its way to the owner."""

    #: How it was sent: `sms`, `whatsapp`, `voice`, `email`.
    tsv_state: str = ""
    tsv_methods: tuple[str, ...] = ()
    #: Where to, mostly masked.
    phone: str = ""


class Complaint(Struct, frozen=True, kw_only=True):
    """What an answer says of an error: Blink's own form, and that of OAuth."""

    message: str = ""
    code: int | None = None
    error: str | None = None
    error_cause: str = ""
    error_description: str = ""

    @property
    def text(self) -> str:
        """The words in it, on one line, without secrets, at most 200 characters; "" when there are none."""
        return _words(self.message or self.error_description or self.error or "")


# Clips


class VideoDescription(Struct, frozen=True, kw_only=True):
    """A description of a clip's video that Blink has generated."""

    full_description: str = ""
    short_description: str = ""


class MediaItem(Struct, frozen=True, kw_only=True):
    """A clip in the cloud's list."""

    id: Id
    #: When it was recorded.
    created_at: Moment
    updated_at: Moment | None = None
    deleted: bool = False
    #: It is still being written.
    partial: bool = False
    watched: bool = False
    #: `video`, or `event`, which has no video.
    type: str = ""
    #: What made the camera record: `pir`, `snapshot`, `liveview`, `cv_motion`, `button_press`, … An open set.
    source: str = ""
    #: The newer list's word for `source`.
    event_type: str = ""
    #: The camera's type: `catalina`, `owl`, `lotus`, …
    device: str = ""
    device_id: Id | None = None
    #: As of now. Not unique.
    device_name: str = ""
    network_id: Id | None = None
    network_name: str = ""
    #: IANA name of the network's zone.
    time_zone: str = ""
    #: Where its bytes are; "" for an event without video.
    media: str = ""
    thumbnail: str = ""
    #: What Blink's video analysis says of it, in the newer list alone.
    ai_vd: VideoDescription = VideoDescription()
    #: What was recognised: `person`, `vehicle`, … An open set.
    cv_detection: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The longer description that there is, on one line, at most 2000 characters; "" for none."""
        return _plain(self.ai_vd.full_description or self.ai_vd.short_description, 2000)

    @property
    def detections(self) -> tuple[str, ...]:
        """At most 20 things that were recognised, each on one line and at most 50 characters long."""
        return tuple(filter(None, (_plain(one, 50) for one in self.cv_detection[:20])))

    @property
    def trigger(self) -> str:
        """What made the camera record, by either list; "" when it is not said."""
        return self.source or self.event_type

    def __post_init__(self) -> None:
        if not 2009 < self.created_at.year < 2100:
            raise ValueError(f"recorded in the year {self.created_at.year}, which no Blink camera did")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPage:
    """One page of the list of clips. A page without items and without malformed ones is the end of the list."""

    #: How many items a page has at most; 0 when the server did not say.
    limit: int
    items: tuple[MediaItem, ...]
    malformed: tuple[Unreadable, ...]
    #: The key of the next page in the newer list; "" when there is none, and in the older list, which goes by numbers.
    next: str = ""


# The system


class Family(StrEnum):
    """What kind of camera it is: each has addresses of its own, and this word is in them."""

    CAMERA = "cameras"
    """With a battery, beside a sync module."""
    OWL = "owls"
    """Minis and wired floodlights: on mains, with or without a sync module."""
    DOORBELL = "doorbells"
    OTHER = "others"
    """From a list that this program does not know: it has no address here, so nothing can be asked of it."""


class Network(Struct, frozen=True, kw_only=True):
    """A system: cameras that are armed together. Names are not unique."""

    id: Id
    name: str = ""
    armed: bool = False
    time_zone: str = ""
    lv_save: bool = False
    sync_module_error: bool = False


READABLE = ("active", "memory_full")
"""The states of a USB storage whose clips can be had."""
NO_STORAGE = "unavailable"
"""The state of a module that has no USB storage."""
STORAGE_STATES = (*READABLE, NO_STORAGE, "unmounted", "format_required", "incompatible")


class SyncModule(Struct, frozen=True, kw_only=True):
    """A sync module. Its stick can be read in the states `active` and `memory_full`."""

    id: Id
    network_id: Id
    name: str = ""
    serial: str = ""
    type: str = ""
    subtype: str = ""
    #: `online`, `offline`.
    status: str = ""
    fw_version: str = ""
    #: 1 to 5.
    wifi_strength: int | None = None
    last_hb: Moment | None = None
    onboarded: bool = True
    local_storage_enabled: bool = False
    local_storage_compatible: bool = False
    local_storage_status: str = ""

    @property
    def readable(self) -> bool:
        """Whether the clips on its stick can be had now. `local_storage_enabled` does not tell: it was seen false on a stick
        in use.
        """
        return self.local_storage_status.casefold() in READABLE

    @property
    def offline(self) -> bool:
        """Whether Blink knows that it is offline."""
        return self.status.casefold() == "offline"


class Signals(Struct, frozen=True, kw_only=True):
    """How well a camera is heard. Minis have none."""

    #: 0 to 5.
    wifi: int | None = None
    #: To the sync module, 0 to 5.
    lfr: int | None = None
    #: 0 to 3.
    battery: int | None = None
    #: Degrees; whether Fahrenheit or Celsius differs between cameras and is not said.
    temp: int | None = None


class Camera(Struct, frozen=True, kw_only=True):
    """A camera of any family."""

    id: Id
    network_id: Id
    family: Family = Family.CAMERA
    name: str = ""
    serial: str = ""
    type: str = ""
    #: `done` and `online` are well, `offline` is not.
    status: str = ""
    fw_version: str = ""
    #: Whether it looks for motion.
    enabled: bool = False
    #: `ok` or `low`; "" for a camera without one.
    battery: str = ""
    signals: Signals = Signals()
    #: A path, or a number of seconds since 1970; see `picture`.
    thumbnail: str | int = ""
    updated_at: Moment | None = None

    @property
    def well(self) -> bool:
        """Whether it says that it is."""
        return self.status in ("online", "done")

    def picture(self, account: int) -> str:
        """Where its picture is; "" when it has none. There are three forms: a path that wants `.jpg`, a whole one, a time."""
        if self.thumbnail == "":
            return ""
        text = str(self.thumbnail)
        if text.isdecimal():
            house = f"/api/v3/media/accounts/{account}/networks/{self.network_id}"
            return f"{house}/{self.type}/{self.id}/thumbnail/thumbnail.jpg?ts={text}&ext="
        return text if "?" in text or text.endswith(".jpg") else f"{text}.jpg"

    @property
    def pictured_at(self) -> datetime | None:
        """When its picture was taken, as its address tells; None when it does not. Addresses without a zone are taken for UTC."""
        text = str(self.thumbnail)
        if stamp := _STAMP.search(text):
            seconds = int(stamp[1])
            return _at(seconds / 1000 if seconds >= _MILLIS else seconds)
        if named := _NAMED.search(text):
            year, month, day, hour, minute, second = (int(part or 0) for part in named.groups())
            try:
                return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
            except ValueError:
                return None
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Homescreen:
    """All devices of an account."""

    networks: tuple[Network, ...]
    sync_modules: tuple[SyncModule, ...]
    #: Of all families: battery cameras, Minis, doorbells, and devices of lists that are not known.
    cameras: tuple[Camera, ...]
    malformed: tuple[Unreadable, ...]
    #: After how many days the cloud deletes a clip by itself; None when it does not say.
    auto_delete_days: int | None = None


# What devices are asked to do


class Command(Struct, frozen=True, kw_only=True):
    """Something a device has been asked to do: it was accepted, which is not done."""

    id: Id
    #: 0 when the answer does not name it.
    network_id: int = 0
    command: str = ""


class CommandStatus(Struct, frozen=True, kw_only=True):
    """How far a command has come. While it runs, `status_code` says already that it has succeeded."""

    complete: bool
    status: int = 0
    status_code: int = 908
    status_msg: str = ""
    #: The id of its first part; None when it has none.
    child: int | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it is complete, and went well."""
        return self.complete and self.status == 0 and self.status_code == 908


class LiveView(Struct, frozen=True, kw_only=True):
    """An open live view."""

    command_id: Id
    #: `immis://…` or `rtsps://…`.
    server: str
    #: In seconds.
    duration: float = 0.0
    polling_interval: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfig:
    """A camera's settings, by Blink's words: some 130 for a battery camera, some 30 for others."""

    values: Mapping[str, Any]
    signals: Signals = field(default_factory=Signals)


class User(Struct, frozen=True, kw_only=True):
    """The account's owner."""

    id: Id | None = None
    email: str = ""
    #: "f" or "c": how the owner wants temperatures shown; "" when it is not said.
    temp_units: str = ""
    time_zone: str = ""

    @property
    def unit(self) -> Literal["F", "C"] | None:
        """The unit of temperatures, for people; None when it is not said."""
        match self.temp_units.lower():
            case "f":
                return "F"
            case "c":
                return "C"
            case _:
                return None


# A sync module's stick


class StorageStatus(Struct, frozen=True, kw_only=True):
    """The state of a stick."""

    #: `active`, `unavailable`, `unmounted`, `format_required`, `memory_full`, `incompatible`.
    usb_state: str
    #: Percent.
    usb_storage_used: int | None = None
    usb_storage_full: bool = False


class LocalClip(Struct, frozen=True, kw_only=True):
    """A clip in a manifest. Its number is good with that manifest alone."""

    id: Opaque
    created_at: Moment
    #: The camera's name when it was recorded; without blanks and signs in the older form of manifests.
    camera_name: str = ""
    #: In KiB, rounded, as far as is known; None when it is not stated.
    size: int | None = None

    @property
    def lasting(self) -> tuple[str, datetime, int | None]:
        """All that lasts of it: another manifest has it under another number, and in the other form under a longer name."""
        return bare(self.camera_name), self.created_at, self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is on a stick."""

    id: Opaque
    clips: tuple[LocalClip, ...]
    malformed: tuple[Unreadable, ...]


# Decoding

_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def lenient(raw: Raw | bytes, record: type[S]) -> S:
    """Decode a record; an optional field that has a wrong type keeps its default, and a text may hold a number.

    Raises `NotAsPromised`.
    """
    try:
        return msgspec.json.decode(raw, type=record, dec_hook=_hook, strict=False)
    except msgspec.ValidationError:
        pass
    except _BROKEN as error:
        raise NotAsPromised(_reason(error)) from None
    try:
        fields = msgspec.json.decode(raw)
    except _BROKEN as error:
        raise NotAsPromised(_reason(error)) from None
    if not isinstance(fields, dict):
        raise NotAsPromised("not an object")
    for each in msgspec.structs.fields(record):
        if each.required or each.encode_name not in fields:
            continue
        try:
            msgspec.convert(fields[each.encode_name], each.type, dec_hook=_hook, strict=False)
        except msgspec.ValidationError:
            del fields[each.encode_name]
    try:
        return msgspec.convert(fields, record, dec_hook=_hook, strict=False)
    except _BROKEN as error:
        raise NotAsPromised(_reason(error)) from None


def grant(body: bytes) -> Grant:
    """Decode the token call's answer."""
    return _decode(body, Grant, "access_token")


def code_sent(body: bytes) -> CodeSent:
    """Decode the answer to a right password that wants a code as well: it names a way that codes are sent by."""
    sent = _decode(body, CodeSent, "tsv_state")
    if not sent.tsv_state and not sent.tsv_methods:
        raise NotAsPromised("an answer without tsv_state")
    return sent


def tier_info(body: bytes) -> TierInfo:
    """Decode the answer that names the account's tier."""
    return _decode(body, TierInfo, "tier")


def complaint(body: bytes) -> Complaint:
    """What the body says of an error; an empty one when it says nothing."""
    try:
        return lenient(body, Complaint)
    except NotAsPromised:
        return Complaint()


def excerpt(body: bytes) -> str:
    """The beginning of a body that nobody asked for, as `Complaint.text`."""
    return _words(body[:_PAGE_HEAD].decode("utf-8", "replace"))


def page_title(body: bytes) -> str:
    """The title of a web page, as `Complaint.text`; "" when it has none."""
    found = _TITLE.search(body[:_PAGE_HEAD].decode("utf-8", "replace"))
    return _words(unescape(found[1])) if found else ""


def _words(text: str) -> str:
    return redact(" ".join(text[:_PAGE_HEAD].split()))[:_LONGEST_WORDS]


class _Page(Struct, frozen=True, kw_only=True):
    media: list[Raw]
    limit: Any = 0
    pagination_key: Any = None


def media_page(body: bytes) -> MediaPage:
    """Decode one page of the older or the newer list of clips. A malformed item spoils nothing but itself."""
    page = _decode(body, _Page, "media")
    items, malformed = _each(page.media, MediaItem)
    limit = page.limit if isinstance(page.limit, int) and page.limit > 0 else 0
    return MediaPage(limit=limit, items=tuple(items), malformed=tuple(malformed), next=_key(page.pagination_key))


def _key(value: object) -> str:
    """The key of a next page; "" for none. What cannot be a key is not taken for the end of a list."""
    if not value:
        return ""
    key = str(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or len(key) > _LONGEST_KEY or not key.isprintable():
        raise NotAsPromised("pagination_key is not a key")
    return key


class _VideoStats(Struct, frozen=True, kw_only=True):
    auto_delete_days: int | None = None


class _Device(Struct, frozen=True, kw_only=True):
    """The members that every device has."""

    id: Id
    network_id: Id
    name: Annotated[str, Meta(min_length=1)]


_CAMERAS = {
    "cameras": Family.CAMERA,
    "owls": Family.OWL,
    "doorbells": Family.DOORBELL,
    "doorbell_buttons": Family.DOORBELL,
}
_OTHER_LISTS = frozenset({"networks", "sync_modules", "sirens", "chimes"})


def homescreen(body: bytes) -> Homescreen:
    """Decode the list of all devices."""
    try:
        home = msgspec.json.decode(body, type=dict[str, Raw])
    except _BROKEN as error:
        raise NotAsPromised(f"an answer without networks ({_reason(error)})") from None
    if "networks" not in home:
        raise NotAsPromised("an answer without networks")
    networks, malformed = _each(_list(home["networks"]), Network)
    modules, bad = _each(_list(home.get("sync_modules", _NONE)), SyncModule)
    malformed += bad
    cameras: list[Camera] = []
    for name, family in _CAMERAS.items():
        found, bad = _each(_list(home.get(name, _NONE)), Camera)
        known = {camera.id for camera in cameras if camera.family is family}
        cameras += [msgspec.structs.replace(camera, family=family) for camera in found if camera.id not in known]
        malformed += bad
    cameras += _others(home, known={camera.id for camera in cameras})
    return Homescreen(
        networks=tuple(networks),
        sync_modules=tuple(modules),
        cameras=tuple(cameras),
        malformed=tuple(malformed),
        auto_delete_days=_auto_delete_days(home.get("video_stats", Raw(b"{}"))),
    )


def _others(home: Mapping[str, Raw], known: set[int]) -> list[Camera]:
    """The devices of lists that are not known: what has an id, a name and a network. A new family of cameras comes so."""
    lists = [_list(raw) for name, raw in home.items() if name not in _CAMERAS and name not in _OTHER_LISTS]
    others: dict[int, Camera] = {}
    for raw in (raw for raws in lists for raw in raws if _is_device(raw)):
        camera = msgspec.structs.replace(lenient(raw, Camera), family=Family.OTHER)
        if camera.id not in known:
            others[camera.id] = camera
    return list(others.values())


def _is_device(raw: Raw) -> bool:
    try:
        msgspec.json.decode(raw, type=_Device, strict=False)
    except _BROKEN:
        return False
    return True


def _auto_delete_days(raw: Raw) -> int | None:
    try:
        days = lenient(raw, _VideoStats).auto_delete_days
    except NotAsPromised:
        return None
    return days if days and 0 < days < 3660 else None


class _AnyCommand(Struct, frozen=True, kw_only=True):
    id: Id | None = None
    command_id: Id | None = None
    network_id: int = 0
    command: str = ""


class _Divided(Struct, frozen=True, kw_only=True):
    commands: Raw = Raw(b"[]")


def command(body: bytes) -> Command:
    """Decode the answer to whoever asked a device for something."""
    found = _decode(body, _AnyCommand, "id")
    id = found.id or found.command_id
    if id is None:
        raise NotAsPromised("an answer without id")
    return Command(id=id, network_id=found.network_id, command=found.command)


def command_status(body: bytes) -> CommandStatus:
    """Decode how far a command has come."""
    status = _decode(body, CommandStatus, "complete")
    parts, _ = _each(_list(lenient(body, _Divided).commands)[:1], _AnyCommand)
    return msgspec.structs.replace(status, child=next((part.id for part in parts), None))


def live_view(body: bytes) -> LiveView:
    """Decode the answer that opens a live view."""
    return _decode(body, LiveView, "server")


class _OneNetwork(Struct, frozen=True, kw_only=True):
    network: Raw


def network(body: bytes) -> Network:
    """Decode what a network says of itself."""
    return lenient(_decode(body, _OneNetwork, "network").network, Network)


def camera_config(body: bytes) -> CameraConfig:
    """Decode a camera's settings: flat, or in a list of one, beside its signals."""
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except _BROKEN as error:
        raise NotAsPromised(_reason(error)) from None
    inner = found.get("camera")
    if isinstance(inner, list) and inner and isinstance(inner[0], dict):
        signals = msgspec.json.encode(found.get("signals") or {})
        return CameraConfig(values=inner[0], signals=lenient(signals, Signals))
    if "name" not in found:
        raise NotAsPromised("an answer without name")
    return CameraConfig(values=found)


def signals(body: bytes) -> Signals:
    """Decode how well a camera is heard."""
    found = lenient(body, Signals)
    if found == Signals():
        raise NotAsPromised("an answer without wifi, lfr, battery and temp")
    return found


def user(body: bytes) -> User:
    """Decode who the owner is."""
    found = lenient(body, User)
    if found.id is None:
        raise NotAsPromised("an answer without id")
    return found


class _Notifications(Struct, frozen=True, kw_only=True):
    notifications: dict[str, bool]


def notifications(body: bytes) -> Mapping[str, bool]:
    """Decode what the owner is told of."""
    return _decode(body, _Notifications, "notifications").notifications


class _Message(Struct, frozen=True, kw_only=True):
    message: str
    code: int | None = None


def deleted(body: bytes) -> None:
    """Decode the answer to a deletion: anything but code 711 is another one."""
    if _decode(body, _Message, "message").code != 711:
        raise NotAsPromised("an answer without code 711")


def message(body: bytes) -> str:
    """Decode an answer that is nothing but words."""
    return _decode(body, _Message, "message").message


def storage_status(body: bytes) -> StorageStatus:
    """Decode the state of a stick."""
    return _decode(body, StorageStatus, "usb_state")


class _Clips(Struct, frozen=True, kw_only=True):
    manifest_id: Opaque | None = None
    clips: list[Raw] | None = None
    media: list[Raw] | None = None


class _Newer(Struct, frozen=True, kw_only=True):
    """An item of the newer form: numbers, and the time in one of two ways."""

    id: Opaque
    created_at: Moment | None = None
    clip_start_millis: int | None = None
    device_name: str = ""


def manifest(body: bytes) -> Manifest:
    """Decode a manifest of either form. A malformed item spoils nothing but itself. One without clips is of an empty stick."""
    found = _decode(body, _Clips, "manifest_id")
    raws = found.clips or found.media or []
    if raws and found.manifest_id is None:
        raise NotAsPromised("a manifest of clips without manifest_id")
    if not msgspec.json.decode(body, type=dict[str, Raw]).keys() & {"manifest_id", "clips", "media"}:
        raise NotAsPromised("an answer without manifest_id and clips")
    good: list[LocalClip] = []
    bad: list[tuple[Raw, str]] = []
    for raw in raws:
        try:
            good.append(_local_clip(raw, newer=not found.clips))
        except (NotAsPromised, msgspec.ValidationError, ValueError, OverflowError, OSError) as error:
            bad.append((raw, str(error)))
    return Manifest(id=_number(found.manifest_id or 0), clips=tuple(good), malformed=tuple(_malformed(bad)))


def _local_clip(raw: Raw, *, newer: bool) -> LocalClip:
    if newer:
        item = lenient(raw, _Newer)
        at = item.created_at
        if at is None:
            if item.clip_start_millis is None:
                raise NotAsPromised("without a time")
            at = datetime.fromtimestamp(item.clip_start_millis / 1000, UTC)
        return LocalClip(id=item.id, created_at=at, camera_name=item.device_name)
    clip = lenient(raw, LocalClip)
    return msgspec.structs.replace(clip, id=_number(clip.id))


def _number(id: int | str) -> int | str:
    """An id that is the text of a number as that number."""
    return int(id) if isinstance(id, str) and id == id.lstrip("0") and id.isdecimal() and len(id) < 19 else id


def _at(seconds: float) -> datetime | None:
    """A number of seconds since 1970 as a time; None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _plain(text: str, most: int) -> str:
    """A text on one line, so long at most, without characters that are not printed."""
    return "".join(letter for letter in " ".join(text[: 2 * most].split()) if letter.isprintable())[:most]


_NONE = Raw(b"[]")


def _list(raw: Raw) -> list[Raw]:
    """The items of a list; none for anything else."""
    try:
        return msgspec.json.decode(raw, type=list[Raw])
    except msgspec.ValidationError:
        return []


def _each(raws: Iterable[Raw], record: type[S]) -> tuple[list[S], list[Unreadable]]:
    """Decode each on its own: those that could be, and those that could not."""
    good: list[S] = []
    bad: list[tuple[Raw, str]] = []
    for raw in raws:
        try:
            good.append(lenient(raw, record))
        except NotAsPromised as error:
            bad.append((raw, str(error)))
    return good, _malformed(bad)


def _malformed(bad: Sequence[tuple[Raw, str]]) -> list[Unreadable]:
    """Malformed items and what is wrong with each: the first ones to look at, and how many more there are."""
    kept = [_unreadable(raw, reason) for raw, reason in bad[:MOST_MALFORMED]]
    if more := len(bad[MOST_MALFORMED:]):
        kept.append(Unreadable(item="", reason=f"{more:,} more items of the same answer cannot be read", raw=""))
    return kept


def _unreadable(raw: Raw, reason: str) -> Unreadable:
    text = bytes(raw).decode("utf-8", "backslashreplace")
    return Unreadable(item=_id_in(text), reason=reason, raw=redact(text[: 2 * RAW_SHOWN])[:RAW_SHOWN])


def _id_in(text: str) -> str:
    found = re.search(r'"id"\s*:\s*"?(\d{1,20})\b', text)
    return found[1] if found else ""


def _decode(body: bytes, record: type[S], key: str) -> S:
    """A body that must have `key`."""
    try:
        return lenient(body, record)
    except NotAsPromised as error:
        raise NotAsPromised(f"an answer without {key} ({error})") from None


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(error)


def _hook(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str) and value:
        return Secret(value)
    raise ValueError(f"expected {kind.__name__}")
