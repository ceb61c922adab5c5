"""Which plugins are installed, which kinds of sinks they offer, and how their hooks are called without harm to a run."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from itertools import groupby, islice
from typing import Any, get_type_hints

import pluggy

from blinkarchive import hookspecs
from blinkarchive.errors import ConfigError, PluginError
from blinkarchive.hookspecs import PROJECT
from blinkarchive.interfaces import AnySinkType, SinkType
from blinkarchive.model import Alarm, Clip, Copy, RunReport, Trouble
from blinkarchive.secret import redact

log = logging.getLogger(__name__)

GROUP = "blinkarchive"
"""The group of entry points that plugins are found by. An entry point's name is the kind of sink it offers."""

RESERVED = ("type", "required", "encrypt", "parallel", "upload_limit")
"""Keys of a sink's table that are not its plugin's: no option may be called so."""

STRIKES = 5
"""So many failures of a plugin's hooks in a row, and they are called no more."""

DEADLINE = 10.0
"""How long one call of a hook may take, in seconds."""

_HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("blinkarchive_"))
_KIND = re.compile(r"[a-z][a-z0-9_-]*")
_MOST_KINDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionInfo:
    """One key that a kind of sink takes beside `type`."""

    name: str
    #: As the plugin's author wrote it: "str", "int | None".
    type: str
    required: bool
    #: As it would stand in the config; "" when there is none, or when it is None.
    default: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One entry point, for the owner to read."""

    name: str
    distribution: str
    version: str
    #: The kind of sink it offers, equal to its name; "" when it was not loaded, failed, or only listens.
    kind: str = ""
    help: str = ""
    options: tuple[OptionInfo, ...] = ()
    #: The hooks it implements.
    hooks: tuple[str, ...] = ()
    #: Why it cannot be used, in words; "" when it can, or was not loaded.
    failure: str = ""


def is_kind(name: str) -> bool:
    """Whether a kind of sink may be called so."""
    return _KIND.fullmatch(name) is not None


class Registry:
    """The plugins of one run.

    Only those that are wanted are imported. One that fails harms no other: its failure is kept, and raised to who asks for it.
    """

    def __init__(self, points: Iterable[EntryPoint] | None = None, *, deadline: float = DEADLINE) -> None:
        """`points` takes the place of what is installed; `deadline` is how long one call of a hook may take, in seconds."""
        self._deadline = deadline
        self._points: dict[str, EntryPoint] = {}
        self._plugins: dict[str, _Plugin] = {}
        self._failures: dict[str, PluginError] = {}
        self._infos: list[PluginInfo] = []
        found = sorted(entry_points(group=GROUP) if points is None else points, key=lambda point: (point.name, _owner(point)))
        for name, rivals in groupby(found, key=lambda point: point.name):
            self._choose(name, list(rivals))

    @classmethod
    def load(
        cls,
        kinds: Iterable[str] = (),
        also: Iterable[str] = (),
        *,
        points: Iterable[EntryPoint] | None = None,
        deadline: float = DEADLINE,
    ) -> Registry:
        """Import the plugins that offer these kinds, and those that are named besides, which need not offer any.

        Nothing is raised for a plugin that fails or is not installed: asking for its kind does. One that `also` names, and that
        is not installed, is among the failures.
        """
        registry = cls(points, deadline=deadline)
        wanted = set(also)
        for name in wanted - registry._points.keys() - registry._failures.keys():
            registry._failures[name] = PluginError(
                f"[plugins] load: no plugin {name!r} is installed{_nearest(name, registry._points)}"
            )
        for name in sorted(registry._points.keys() & (wanted | set(kinds))):
            registry._load(name)
        return registry

    @classmethod
    def load_all(cls, *, points: Iterable[EntryPoint] | None = None) -> Registry:
        """Import every plugin that is installed, to tell about them."""
        registry = cls(points)
        for name in registry._points:
            registry._load(name)
        return registry

    def sink_type(self, kind: str) -> AnySinkType:
        """The kind of sink of this name. Raises `PluginError` when its plugin failed, `ConfigError` when no plugin offers it."""
        if kind in self._failures:
            raise self._failures[kind]
        if kind not in self._points:
            raise ConfigError(f"no plugin for sinks of type {kind!r} is installed{_nearest(kind, self._points)}")
        if kind not in self._plugins:
            raise PluginError(f"{_whose(self._points[kind])} was not loaded: its kind was not asked for")
        offered = self._plugins[kind].offered
        if kind not in offered:
            raise PluginError(f"{_whose(self._points[kind])} offers no sink of kind {kind!r}")
        return offered[kind]

    @property
    def failures(self) -> Mapping[str, PluginError]:
        """What cannot be used, by the name of the entry point."""
        return self._failures

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What went wrong when hooks were called, each plugin once."""
        return tuple(Trouble(where=f"plugin {name}", what=it.trouble) for name, it in self._plugins.items() if it.trouble)

    def plugins(self) -> tuple[PluginInfo, ...]:
        """What there is to tell about every entry point: all of it where it was loaded, where it is from otherwise."""
        loaded = [self._told(name, point) for name, point in self._points.items()]
        return tuple(sorted([*loaded, *self._infos], key=lambda info: (info.name, info.distribution)))

    async def clip_stored(self, clip: Clip, copy: Copy) -> None:
        """Call `blinkarchive_clip_stored` of every plugin, and wait for it. Raises nothing: see `troubles`."""
        await self._call("blinkarchive_clip_stored", clip=clip, copy=copy)

    async def run_finished(self, report: RunReport) -> None:
        """Call `blinkarchive_run_finished` of every plugin, and wait for it. Raises nothing: see `troubles`."""
        await self._call("blinkarchive_run_finished", report=report)

    async def alarm(self, alarm: Alarm) -> None:
        """Call `blinkarchive_alarm` of every plugin, and wait for it. Raises nothing: see `troubles`."""
        await self._call("blinkarchive_alarm", alarm=alarm)

    def _choose(self, name: str, rivals: list[EntryPoint]) -> None:
        """Let one entry point have a name. What ships with blinkarchive cannot be replaced; between strangers nobody wins."""
        own = [point for point in rivals if _owner(point) == PROJECT]
        if len(rivals) == 1 or own:
            self._points[name] = winner = (own or rivals)[0]
            rivals = [point for point in rivals if point is not winner]
        if rivals:
            names = " and ".join(dict.fromkeys(_owner(point) for point in [*own, *rivals]))
            error = PluginError(f"the plugin {name!r} is offered by {names}: uninstall all but one")
            self._infos += [dataclasses.replace(_basis(point), failure=str(error)) for point in rivals]
            if not own:
                self._failures[name] = error

    def _load(self, name: str) -> None:
        point = self._points[name]
        own = {other.name for other in self._points.values() if _owner(other) == _owner(point) and other.module == point.module}
        try:
            with _blaming(point):
                self._plugins[name] = _Plugin(point, own)
        except PluginError as error:
            self._failures[name] = error
            log.warning("a plugin cannot be used", extra={"plugin": name, "because": str(error)})

    def _told(self, name: str, point: EntryPoint) -> PluginInfo:
        basis = _basis(point)
        if name in self._failures:
            return dataclasses.replace(basis, failure=str(self._failures[name]))
        return self._plugins[name].told(basis) if name in self._plugins else basis

    async def _call(self, hook: str, **facts: object) -> None:
        # Two entry points may lead to one module: it is told once.
        listeners = {id(plugin.module): plugin for plugin in self._plugins.values() if hook in plugin.hooks}
        async with asyncio.TaskGroup() as group:
            for plugin in listeners.values():
                group.create_task(plugin.call(hook, facts, self._deadline))


class _Plugin:
    """One plugin that was imported: what it offers, and how it fares when it is called."""

    def __init__(self, point: EntryPoint, names: set[str]) -> None:
        """Import it and look at it; anything may be raised. `names` are those of the entry points that lead to it."""
        self.module = point.load()
        self._name = point.name
        # A manager of its own: no plugin can get in the way of another, nor a mistake in one be taken for another's.
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        _require_hooks(self.module)
        self._manager.register(self.module)
        self._manager.check_pending()
        self.hooks = tuple(sorted(caller.name for caller in self._manager.get_hookcallers(self.module) or ()))
        if not self.hooks:
            raise PluginError("it implements no hook: a hook is a function of the right name, marked with @hookimpl")
        self.offered = self._offer(names)
        self._options = tuple(_options_of(self.offered[self._name].options)) if self._name in self.offered else ()
        self._turn = asyncio.Lock()
        self._running: asyncio.Future[BaseException | None] | None = None
        self._strikes = 0
        #: What went wrong first when it was called, in words; "" when nothing did.
        self.trouble = ""

    def told(self, basis: PluginInfo) -> PluginInfo:
        """What there is to tell about it."""
        kind = self.offered.get(self._name)
        if kind is None:
            return dataclasses.replace(basis, hooks=self.hooks)
        return dataclasses.replace(basis, kind=kind.kind, help=kind.help, options=self._options, hooks=self.hooks)

    async def call(self, hook: str, facts: Mapping[str, object], deadline: float) -> None:
        """Call one of its hooks in a thread, one call at a time, and give up waiting after the deadline."""
        async with self._turn:
            if self._strikes >= STRIKES:
                return
            # An earlier call may still be out: it took too long, or we were cancelled while we waited for it.
            if self._running is not None and not await _ended(self._running, deadline):
                self._strike(f"{hook} could not be called: an earlier call has not ended")
                return
            self._running = _in_a_thread(lambda: getattr(self._manager.hook, hook)(**facts), f"plugin-{self._name}")
            if not await _ended(self._running, deadline):
                self._strike(f"{hook} took longer than {deadline:g} s")
            elif failure := self._running.result():
                self._strike(f"{hook} failed: {_words(failure)}")
            else:
                self._strikes = 0

    def _strike(self, what: str) -> None:
        self._strikes += 1
        if not self.trouble:
            self.trouble = what
            log.warning("a plugin failed", extra={"plugin": self._name, "because": what})
        if self._strikes == STRIKES:
            self.trouble = f"{self.trouble}; after {STRIKES} failures in a row it is called no more"
            log.error("a plugin is called no more", extra={"plugin": self._name, "because": what})

    def _offer(self, names: set[str]) -> dict[str, AnySinkType]:
        offered: dict[str, AnySinkType] = {}
        for answer in self._manager.hook.blinkarchive_sink_types():
            for kind in islice(answer, _MOST_KINDS):
                _require_sink_type(kind)
                if kind.kind not in names:
                    raise PluginError(f"it offers sinks of kind {kind.kind!r}, but its package has no entry point of that name")
                if kind.kind in offered:
                    raise PluginError(f"it offers sinks of kind {kind.kind!r} twice")
                offered[kind.kind] = kind
        return offered


async def _ended(call: asyncio.Future[BaseException | None], deadline: float) -> bool:
    await asyncio.wait({call}, timeout=deadline)
    return call.done()


def _in_a_thread(work: Callable[[], object], name: str) -> asyncio.Future[BaseException | None]:
    """Do it in a thread that a hanging plugin may keep for ever: it holds up neither the run nor the program's end."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[BaseException | None] = loop.create_future()

    def through() -> None:
        failure: BaseException | None = None
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # a plugin may raise anything, SystemExit too
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(outcome.set_result, failure)

    threading.Thread(target=through, name=name, daemon=True).start()
    return outcome


@contextmanager
def _blaming(point: EntryPoint) -> Iterator[None]:
    """Turn whatever a plugin raises, SystemExit too, into a `PluginError` that names its package. Only Ctrl-C passes."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except PluginError as error:
        raise PluginError(f"{_whose(point)}: {error}") from error
    except BaseException as error:
        raise PluginError(f"{_whose(point)} cannot be loaded: {_words(error)}") from error


def _require_hooks(module: object) -> None:
    """Find the mistakes that would otherwise be silent: a misspelt hook, one without its mark, one that nobody would await."""
    for name in dir(module):
        hook = getattr(module, name) if name.startswith("blinkarchive_") else None
        if not inspect.isroutine(hook):
            continue
        if name not in _HOOKS:
            raise PluginError(f"there is no hook {name}{_nearest(name, _HOOKS)}")
        if not hasattr(hook, f"{PROJECT}_impl"):
            raise PluginError(f"{name} is not marked with @hookimpl, so it would never be called")
        if inspect.iscoroutinefunction(hook):
            raise PluginError(f"{name} is a coroutine function; hooks are plain functions, called in a thread")


def _require_sink_type(kind: Any) -> None:
    """What a plugin hands over has any type, whatever its annotations say."""
    if not isinstance(kind, SinkType):
        raise PluginError(f"blinkarchive_sink_types gave {kind!r}, which is no SinkType")
    name: Any = kind.kind
    if not (isinstance(name, str) and is_kind(name)):
        raise PluginError(f"{name!r} cannot name a kind of sink: use small letters, digits, - and _")
    options: Any = kind.options
    if not (isinstance(options, type) and getattr(getattr(options, "__dataclass_params__", None), "frozen", False)):
        raise PluginError(f"the options of sinks of kind {kind.kind!r} are no frozen dataclass")
    for field in dataclasses.fields(options):
        if field.name in RESERVED:
            raise PluginError(
                f"an option of sinks of kind {kind.kind!r} is called `{field.name}`: that key belongs to every sink"
            )
    if not callable(kind.open):
        raise PluginError(f"`open` of sinks of kind {kind.kind!r} cannot be called")
    if kind.open_to_read is not None and not callable(kind.open_to_read):
        raise PluginError(f"`open_to_read` of sinks of kind {kind.kind!r} cannot be called")


def _options_of(options: type[Any]) -> Iterator[OptionInfo]:
    hints = get_type_hints(options)
    for field in dataclasses.fields(options):
        made = field.default_factory is not dataclasses.MISSING
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        required = not made and default is dataclasses.MISSING
        yield OptionInfo(
            name=field.name,
            type=_type_words(hints[field.name]),
            required=required,
            default="" if required else _as_written(default),
            help=str(field.metadata.get("help", "")),
        )


def _type_words(hint: object) -> str:
    return hint.__name__ if type(hint) is type else str(hint).replace("typing.", "")


def _as_written(value: object) -> str:
    """A default as it would stand in the config."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float | list | tuple | dict):
        return json.dumps(value, default=str)
    return json.dumps(str(value))


def _basis(point: EntryPoint) -> PluginInfo:
    return PluginInfo(name=point.name, distribution=_owner(point), version=point.dist.version if point.dist else "")


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"


def _whose(point: EntryPoint) -> str:
    return f"plugin {point.name!r} of {_owner(point)}"


def _words(error: BaseException) -> str:
    return redact("".join(traceback.format_exception_only(error)).strip())


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
