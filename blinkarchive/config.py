"""What the owner wrote, as one frozen `Config`: where it is looked for, what the environment changes, what is refused."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from blinkarchive.blink.endpoints import own_origin
from blinkarchive.convert import FromEnvironment, Place, Problems, Rate, SecretRef, Size, build, is_secret, nearest, types_of
from blinkarchive.encryption import Recipients, is_secret_key
from blinkarchive.errors import ConfigError, PluginError
from blinkarchive.exposure import exposures
from blinkarchive.model import SinkName, SourceName
from blinkarchive.pace import PACES, Figures
from blinkarchive.pipeline.naming import DEFAULT_TEMPLATE, Namer
from blinkarchive.secret import Secret
from blinkarchive.when import format_duration
from blinkarchive.zone import local_zone, parse_zone

T = TypeVar("T")

PREFIX = "BLINKARCHIVE__"
"""What the environment names of keys begin with: `BLINKARCHIVE__ACCOUNT__HOME__USERNAME`."""

EVERY = {SourceName.CLOUD: timedelta(minutes=5), SourceName.SYNC_MODULE: timedelta(minutes=15)}
"""How often a source is looked at when neither `every` nor `cron` says."""

MOST_OFTEN = timedelta(seconds=30)
SHORTEST_STALL = timedelta(minutes=15)
REMIND_EVERY = timedelta(days=1)
REMIND_AT_MOST = timedelta(hours=1)
ONE_RECIPIENT = "I know that a lost key loses the clips"
LARGEST_CLIP = Size(512 * 1024**2)
RESERVE = Size(64 * 1024**2)

OF_EVERY_SINK = ("type", "required", "encrypt", "parallel", "upload_limit")
"""The keys that every sink takes, whatever its kind."""

_NAME = re.compile(r"(?!.*__)[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38}[A-Za-z0-9])?", re.ASCII)
_NAME_RULE = "a name has letters, digits, - and _, at most 40, begins and ends with a letter or digit, and has no __"


def _positive(number: int) -> None:
    if number < 1:
        raise ValueError(f"{number} is too little; the least is 1")


def _positive_or_none(number: int | None) -> None:
    if number is not None:
        _positive(number)


def _bearably_fast(rate: int | None) -> None:
    if rate is not None and rate < 1000:
        raise ValueError("less than 1KB/s would take hours for a clip")


def _not_empty(text: str) -> None:
    if not text.strip():
        raise ValueError("must not be empty")


def _no_empty_name(names: tuple[str, ...]) -> None:
    if not all(name.strip() for name in names):
        raise ValueError("a name must not be empty")


def _moving(pace: Figures) -> None:
    if not pace.requests_per_second > 0 or pace.burst < 1 or pace.downloads < 1:
        raise ValueError("each figure must be more than 0")


def _polite(every: timedelta) -> None:
    if every < MOST_OFTEN:
        raise ValueError(f"more often than {format_duration(MOST_OFTEN)} is not polite to Blink")


def _cron(cron: str) -> None:
    from blinkarchive.ticks import Cron  # what reads cron is loaded by who writes it

    Cron(cron, zone=UTC)  # which fields make sense does not depend on the zone


def _zone(name: str) -> None:
    try:
        if not name:
            raise ValueError("empty")
        parse_zone(name)
    except ValueError:
        raise ValueError(f'"{name}" is not a time zone; write a name such as Europe/Berlin') from None


def _patient(length: timedelta) -> None:
    if length < SHORTEST_STALL:
        raise ValueError(f"less than {format_duration(SHORTEST_STALL)} would end what only takes its time")


def _bearable(every: timedelta) -> None:
    if every < REMIND_AT_MOST:
        raise ValueError(f"more often than {format_duration(REMIND_AT_MOST)} is not bearable")


def _public_keys(texts: tuple[str, ...]) -> None:
    if not texts:
        raise ValueError("nobody could open what is encrypted for nobody")
    if any(is_secret_key(text) for text in texts):
        raise ValueError(
            "one of them is a SECRET key, which opens everything. Take it out of this file and keep it somewhere else; "
            "what belongs here is its public key: age-keygen -y FILE"
        )
    with suppress(PluginError):  # encrypting is not installed: then the sink is left alone, and says so
        Recipients(texts)


def _key_of(text: str) -> tuple[str, ...]:
    """What tells a public key from others: of SSH's, the comment does not; age's may be of capital letters."""
    kind, *more = text.split()
    return (kind, *more[:1]) if more else (kind.lower(),)


def _for_somebody(encrypt: object) -> None:
    if encrypt is True:
        raise ValueError('true does not say for whom: { recipients = ["age1…", "age1…"] }')


def _server(address: str) -> None:
    own_origin(address, "not a server")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveConfig:
    """`[archive]`: the archive as a whole."""

    #: The folder of the index, the tokens, the spool and the lock. It is made 0700, and is a local disk's.
    state: Path = field(default_factory=lambda: platformdirs.user_state_path("blinkarchive"))
    #: The template of the clips' names in every sink.
    name: str = field(default=DEFAULT_TEMPLATE, metadata={"check": Namer})
    #: How many sinks must hold a clip, at least, before it counts as archived; every required one in any case.
    min_copies: int = field(default=1, metadata={"check": _positive})
    #: How many clips may be on their way before the first sink holds them.
    in_flight: int = field(default=16, metadata={"check": _positive})
    #: The most a clip may have; a larger one is refused.
    largest_clip: Size = LARGEST_CLIP
    #: What fetching leaves free on the disk of `state`.
    reserve: Size = RESERVE


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """`[account.NAME]`: one Blink account."""

    name: str
    #: The address one signs in with.
    username: str = field(metadata={"check": _not_empty})
    #: Where the password is kept; None when it is asked for.
    password: SecretRef | None = None
    pace: Figures = field(default=PACES["polite"], metadata={"named": PACES, "check": _moving})
    #: Another server for every call but those of the sign-in, such as the simulator's; None for Blink's own.
    api_url: str | None = field(default=None, metadata={"check": _server})
    #: Another server for the sign-in; None for Blink's own.
    oauth_url: str | None = field(default=None, metadata={"check": _server})
    #: Certificates of authorities, in PEM form: Blink's servers are trusted by these, in place of the system's.
    ca_file: Path | None = None
    #: Whether a clip is fetched from another https host where Blink's address of it leads there; nothing secret is sent to it.
    other_hosts: bool = True

    @property
    def password_in_file(self) -> bool:
        """Whether the password stands in the config itself, in clear."""
        return self.password is not None and self.password.kind == "inline"

    def read_password(self) -> Secret | None:
        """The password from where it is kept; None when none is kept. Raises `ConfigError` when it cannot be read."""
        return None if self.password is None else self.password.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """`[source.cloud]` and `[source.sync-module]`: a place where clips are found."""

    name: SourceName
    #: How often it is looked at by a scheduler; not with `cron`.
    every: timedelta | None = field(default=None, metadata={"check": _polite})
    #: When it is looked at, as five fields of cron, in the zone of `[serve]`; not with `every`.
    cron: str | None = field(default=None, metadata={"check": _cron})
    #: By how much it is looked at later than that, at most, by chance: so that not all the world asks Blink at once.
    jitter: timedelta = timedelta(seconds=20)

    #: Only of the sticks: whether a clip stays there whose twin, the same recording in the cloud, every required sink holds.
    skip_twins: bool = False

    #: Whether a clip is deleted there once every required sink holds it.
    delete_after_archive: bool = False
    #: The cameras whose clips are deleted, by name or id, letter for letter; none means all.
    delete_cameras: tuple[str, ...] = field(default=(), metadata={"check": _no_empty_name})
    #: How long the last of its copies must have been stored.
    delete_grace: timedelta = timedelta(days=7)
    #: The most that one run deletes there, for each account.
    delete_limit: int = field(default=100, metadata={"check": _positive})

    def __post_init__(self) -> None:
        if self.every is not None and self.cron is not None:
            raise ValueError("every and cron say the same thing twice; keep one of them")
        if self.delete_cameras and not self.delete_after_archive:
            raise ValueError("delete_cameras without delete_after_archive = true deletes nothing: add that, or take it away")
        if self.skip_twins and self.name is not SourceName.SYNC_MODULE:
            raise ValueError("skip_twins is for [source.sync-module]: it is there that a clip is left to its twin in the cloud")
        if self.every is not None and self.jitter >= self.every:
            raise ValueError(f"jitter must be less than every ({format_duration(self.every)})")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptConfig:
    """`encrypt` of a sink: for whom what goes into it is encrypted."""

    #: Public keys, as age or SSH write them. Each of their owners can open it all, and nobody else.
    recipients: tuple[str, ...] = field(metadata={"check": _public_keys})
    #: `ONE_RECIPIENT`, from who wants no more than one all the same.
    one_recipient: str = ""

    def __post_init__(self) -> None:
        if len({_key_of(text) for text in self.recipients}) < 2 and self.one_recipient != ONE_RECIPIENT:
            raise ValueError(
                "recipients must be two at least, of different keys, one of them kept away from home: a key that is lost opens "
                f'nothing any more. Who wants no more than one says one_recipient = "{ONE_RECIPIENT}"'
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkConfig:
    """`[sink.NAME]`: a place that keeps clips."""

    name: SinkName
    #: The kind of sink, as its plugin calls it.
    type: str
    #: Whether a clip counts as archived only when this sink holds it too.
    required: bool = True
    #: For whom what goes into it is encrypted; False when the owner says that nothing is to be, None when nothing is said.
    encrypt: EncryptConfig | bool | None = field(default=None, metadata={"check": _for_somebody})
    #: How many clips are put there at the same time, at most; None for as many as the sink takes.
    parallel: int | None = field(default=None, metadata={"check": _positive_or_none})
    #: How fast clips go there, at most; None for as fast as the line is.
    upload_limit: Rate | None = field(default=None, metadata={"check": _bearably_fast})
    #: The plugin's own options, as written: for `options`.
    raw: Mapping[str, object] = field(default_factory=dict, repr=False)
    place: Place = field(default_factory=Place, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginsConfig:
    """`[plugins]`: what is loaded beside the plugins of the sinks."""

    #: Plugins without a sink of their own here, such as one that only listens, by the name of their entry point.
    load: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """`[serve]`: what `blinkarchive serve` goes by."""

    #: The time zone that `cron` is meant in; None for that of the machine.
    zone: str | None = field(default=None, metadata={"check": _zone})
    #: After how long without any progress a run is ended.
    stalled_after: timedelta = field(default=timedelta(minutes=30), metadata={"check": _patient})

    @property
    def time_zone(self) -> tzinfo:
        """The zone that `cron` is meant in."""
        return parse_zone(self.zone) if self.zone is not None else local_zone()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmConfig:
    """`[alarm]`: who is told by a scheduler when something is wrong, beside the log and the plugins."""

    #: Where the addresses of people are kept, as Apprise writes them. An address opens its channel to whoever has it: a secret.
    notify: tuple[SecretRef, ...] = ()
    #: Where the address is kept that is called after each good run; None when there is none.
    ping: SecretRef | None = None
    #: Where the address of an HTTP proxy is kept that `notify` and `ping` use; None: neither uses one.
    proxy: SecretRef | None = None
    #: How long something is wrong before it is an alarm; a sign-in that is needed is one at once.
    after: timedelta = timedelta(minutes=10)
    #: How often an alarm that stands is told again.
    remind_every: timedelta = field(default=REMIND_EVERY, metadata={"check": _bearable})

    @property
    def in_file(self) -> tuple[str, ...]:
        """The keys whose secrets stand in the config itself, in clear."""
        kept = {"notify": self.notify, "ping": (self.ping,), "proxy": (self.proxy,)}
        return tuple(key for key, refs in kept.items() if any(ref is not None and ref.kind == "inline" for ref in refs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that the owner wrote."""

    #: None when there is no file.
    file: Path | None = None
    archive: ArchiveConfig = field(default_factory=ArchiveConfig)
    accounts: Mapping[str, AccountConfig] = field(default_factory=dict)
    sources: Mapping[SourceName, SourceConfig] = field(default_factory=dict)
    sinks: Mapping[SinkName, SinkConfig] = field(default_factory=dict)
    plugins: PluginsConfig = field(default_factory=PluginsConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    alarm: AlarmConfig = field(default_factory=AlarmConfig)
    #: What can be used, but should not stay so, in words.
    warnings: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[SinkName, ...]:
        """The sinks that must hold a clip before it counts as archived."""
        return tuple(name for name, sink in self.sinks.items() if sink.required)

    def forgotten(self, known: Mapping[SinkName, str | None]) -> list[SinkName]:
        """Of the archive's sinks, each with what its marker says, those that were proven once and that this config has not."""
        return [name for name, id_ in known.items() if id_ is not None and name not in self.sinks]

    @property
    def trusted(self) -> tuple[SinkName, ...]:
        """The sinks that must hold a clip before somebody else may let go of it: the required ones; all, where these are
        fewer than `min_copies`.
        """
        return self.required if len(self.required) >= self.archive.min_copies else tuple(self.sinks)


def default_file() -> Path:
    """Where a config is looked for when nobody names one."""
    return platformdirs.user_config_path("blinkarchive") / "blinkarchive.toml"


def find(named: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The config file: the named one, `$BLINKARCHIVE_CONFIG`, or the default one where it exists.

    Raises `ConfigError` when a file that was named is not there.
    """
    by_variable = environ.get("BLINKARCHIVE_CONFIG")
    wanted = named or (Path(by_variable).expanduser() if by_variable else None)
    if wanted is None:
        return default_file() if default_file().is_file() else None
    if not wanted.exists():
        named_by = "" if named else " (named by BLINKARCHIVE_CONFIG)"
        raise ConfigError(f"there is no file {wanted}{named_by}; `blinkarchive init` writes one")
    return wanted


def load(named: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the config: file, then environment over it.

    Raises one `ConfigError` that tells everything that is wrong.
    """
    file = find(named, environ)
    problems = Problems()
    tree: dict[str, Any] = {}
    lines: dict[tuple[str, ...], int] = {}
    if file is not None:
        text = _read(file)
        try:
            tree = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{file}: this is not TOML: {error}") from error
        lines = _lines(text)
    place = Place(file=file, lines=lines, environ=environ)
    _lay_over(tree, environ)
    config = _build(tree, place, problems)
    problems.check()
    return config


def require(config: Config) -> None:
    """Check that there is something to archive, and a place to keep it. Raises `ConfigError`."""
    if config.accounts and config.sinks:
        return
    if config.file is None and not config.accounts and not config.sinks:
        raise ConfigError(
            f"there is no configuration yet: no {default_file()}, and no --config or BLINKARCHIVE_CONFIG names another; "
            "`blinkarchive init` writes one, and `blinkarchive demo` shows what it does without one"
        )
    missing = [what for what, there in (("[account.NAME]", config.accounts), ("[sink.NAME]", config.sinks)) if not there]
    raise ConfigError(
        f"{config.file or 'the environment'}: {' and '.join(missing)} missing: an archive needs at least one of each"
    )


def options(kind: type[T], sink: SinkConfig) -> T:
    """A plugin's options for a sink. Raises one `ConfigError` that tells everything that is wrong."""
    problems = Problems()
    made = build(kind, sink.raw, sink.place, problems)
    problems.check()
    assert made is not None  # nothing was wrong with it
    return made


def inline_secrets(kind: type[Any], sink: SinkConfig) -> list[str]:
    """The options of a sink that are secrets and stand in the config file itself."""
    return [key for key, value in sink.raw.items() if _written_out(value) and is_secret(types_of(kind).get(key))]


def _written_out(value: object) -> bool:
    """Whether a value is a text of the file, or a list with one."""
    if isinstance(value, list):
        return any(isinstance(item, str) for item in value)
    return isinstance(value, str) and not isinstance(value, FromEnvironment)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: this is not TOML: it is not UTF-8") from error


_HEADER = re.compile(r"\s*\[(?P<table>[^\[\]]+)\]\s*(?:#.*)?")
_KEY = re.compile(r"""\s*(?P<key>[A-Za-z0-9_-]+|"[^"]*"|'[^']*')\s*(?:=|\.)""")


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """The lines of tables and keys, for messages: right for a file as people write it, a hint at worst."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = tuple(part.strip().strip("\"'") for part in header["table"].split("."))
            for depth in range(1, len(table) + 1):
                found.setdefault(table[:depth], number)
        elif key := _KEY.match(line):
            found.setdefault((*table, key["key"].strip("\"'")), number)
    return found


def _lay_over(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Put the values of the environment into the tree of the file.

    Names there have no case and no "-": a part means the table or key of the file that is equal but for that.
    """
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        *tables, key = variable.removeprefix(PREFIX).split("__")
        branch: dict[str, Any] = tree
        for depth, part in enumerate(tables):
            known = [*branch, *(SourceName if depth == 1 and branch is tree.get("source") else ())]
            inner = branch.setdefault(_meant(part, known), {})
            if not isinstance(inner, dict):
                break
            branch = inner
        else:
            branch[_meant(key, branch)] = FromEnvironment(environ[variable], variable)
    for variable, key in (("BLINKARCHIVE_API_URL", "api_url"), ("BLINKARCHIVE_OAUTH_URL", "oauth_url")):
        accounts = tree.get("account")
        if environ.get(variable) and isinstance(accounts, dict):
            for account in accounts.values():
                if isinstance(account, dict) and not isinstance(account.get(key), FromEnvironment):
                    account[key] = FromEnvironment(environ[variable], variable)


def _meant(part: str, known: Iterable[str]) -> str:
    folded = _folded(part)
    return next((str(name) for name in known if _folded(name) == folded), part.lower())


def _folded(name: str) -> str:
    """Names are one when they differ in case, or in "-" against "_", only."""
    return name.lower().replace("-", "_")


def _build(tree: dict[str, Any], top: Place, problems: Problems) -> Config:
    known = ("archive", "account", "source", "sink", "plugins", "serve", "alarm")
    for key, value in tree.items():
        if key not in known:
            problems.add(top.say(key, f"no such table{nearest(key, known)}", value))
    accounts = {
        name: made
        for name, raw, place in _named_tables(tree, "account", top, problems)
        if (made := build(AccountConfig, raw, place, problems, {"name": name})) is not None
    }
    sinks = {
        sink.name: sink
        for name, raw, place in _named_tables(tree, "sink", top, problems)
        if _has_type(raw, place, problems) and (sink := _sink(SinkName(name), raw, place, problems)) is not None
    }
    archive = build(ArchiveConfig, _table(tree, "archive", top, problems), top.inner("archive"), problems) or ArchiveConfig()
    if sinks and archive.min_copies > len(sinks):
        what = f"there are only {len(sinks)} sinks that could hold a clip"
        problems.add(top.inner("archive").say("min_copies", what, archive.min_copies))
    file = top.file
    alarm = build(AlarmConfig, _table(tree, "alarm", top, problems), top.inner("alarm"), problems) or AlarmConfig()
    return Config(
        file=file,
        archive=archive,
        accounts=accounts,
        sources=_sources(tree, top, problems),
        sinks=sinks,
        plugins=build(PluginsConfig, _table(tree, "plugins", top, problems), top.inner("plugins"), problems) or PluginsConfig(),
        serve=build(ServeConfig, _table(tree, "serve", top, problems), top.inner("serve"), problems) or ServeConfig(),
        alarm=alarm,
        warnings=tuple(dict.fromkeys(exposures(file, tree))),
    )


def _sources(tree: dict[str, Any], top: Place, problems: Problems) -> dict[SourceName, SourceConfig]:
    """The sources of the config; both of them when it says nothing of any."""
    if not tree.get("source"):
        return {name: SourceConfig(name=name, every=every) for name, every in EVERY.items()}
    made: dict[SourceName, SourceConfig] = {}
    place = top.inner("source")
    for key, raw in _table(tree, "source", top, problems).items():
        if key not in EVERY:
            problems.add(place.say(key, f"no such source{nearest(key, EVERY)}", raw))
        elif not isinstance(raw, dict):
            problems.add(place.say(key, f"must be a table: [source.{key}]", raw))
        else:
            name = SourceName(key)
            given: dict[str, object] = {"name": name} if {"every", "cron"} & raw.keys() else {"name": name, "every": EVERY[name]}
            source = build(SourceConfig, raw, place.inner(key), problems, given)
            if source is not None:
                made[name] = source
    return made


def _named_tables(tree: dict[str, Any], kind: str, top: Place, problems: Problems) -> Iterator[tuple[str, dict[str, Any], Place]]:
    """The tables `[kind.NAME]`, as name, table and place; those with a bad name are told and left out."""
    place = top.inner(kind)
    seen: dict[str, str] = {}
    for name, raw in _table(tree, kind, top, problems).items():
        if not isinstance(raw, dict):
            problems.add(place.say(name, f"a key needs a table with a name: [{kind}.NAME]", raw))
        elif not _NAME.fullmatch(name):
            problems.add(place.say(name, f"is no name: {_NAME_RULE}"))
        elif _folded(name) in seen:
            problems.add(place.say(name, f'is the same name as "{seen[_folded(name)]}": case, and - or _, make no difference'))
        else:
            seen[_folded(name)] = name
            yield name, raw, place.inner(name)


def _table(tree: dict[str, Any], key: str, place: Place, problems: Problems) -> dict[str, Any]:
    raw = tree.get(key, {})
    if isinstance(raw, dict):
        return raw
    problems.add(place.say(key, "must be a table", raw))
    return {}


def _sink(name: SinkName, raw: Mapping[str, object], place: Place, problems: Problems) -> SinkConfig | None:
    """A sink, as far as it is ours to read: the rest is its plugin's."""
    ours = {key: value for key, value in raw.items() if key in OF_EVERY_SINK}
    theirs = {key: value for key, value in raw.items() if key not in OF_EVERY_SINK}
    return build(SinkConfig, ours, place, problems, {"name": name, "raw": theirs, "place": place})


def _has_type(raw: Mapping[str, object], place: Place, problems: Problems) -> bool:
    kind = raw.get("type")
    if isinstance(kind, str) and kind:
        return True
    what = (
        'missing; it says which kind of sink this is, such as type = "disk"' if kind is None else 'must be a text, such as "disk"'
    )
    problems.add(place.say("type", what, kind))
    return False
