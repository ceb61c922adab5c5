"""The sticks of an account's sync modules as a source of clips."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blinkarchive.blink.commands import LONGEST
from blinkarchive.blink.names import meant
from blinkarchive.blink.sizes import Sizes
from blinkarchive.blink.wire import NO_STORAGE, READABLE
from blinkarchive.clock import Clock
from blinkarchive.errors import (
    BadClip,
    Busy,
    ClipGone,
    CommandFailed,
    CommandUnfinished,
    ListingIncomplete,
    LoginNeeded,
    ModuleAway,
    Refused,
    SourceError,
)
from blinkarchive.interfaces import Batch, Body, ClipRef, Part
from blinkarchive.model import Clip, ClipId, SourceName
from blinkarchive.pace import Pace
from blinkarchive.retry import Patience, retry

if TYPE_CHECKING:
    from blinkarchive.blink import Camera, Client, Homescreen, LocalClip, Manifest, SyncModule

log = logging.getLogger(__name__)

MANIFEST_LIFE = 60.0
"""For so many seconds a manifest's numbers are believed, as long as nothing goes wrong: a module that starts anew is away for
longer than that.
"""

_MOST_UNFINISHED = 3
_BUSY_PAUSES = (3.0, 8.0, 15.0, 25.0)
_FIRST_POLL = 0.5
_SOONEST_POLL = 0.1
_LATEST_POLL = 10.0
_LONGEST_UPLOAD = 600.0
_FASTER = 1.15
_NEXT_POLL = 0.2
_SLOWEST_POLL = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What lasts of a clip, whatever number the module gives it."""

    camera: str
    created_at: datetime
    size: int | None
    #: Which of several that are equal in camera and time: from 1, in the manifest's order.
    nth: int


class SyncModules:
    """Lists the clips on every stick of one account that can be read, and has them uploaded one by one.

    A module renumbers its clips when it starts anew, and uses old numbers for other clips. So a clip is known by what lasts
    (network, module, the camera's name as it was recorded, time), and its number is looked up in a manifest that is
    fresh enough whenever the clip is opened.
    """

    def __init__(self, account: str, client: Client, *, pace: Pace, patience: Patience, clock: Clock) -> None:
        self.account = account
        self.name = SourceName.SYNC_MODULE
        self._client = client
        self._pace = pace
        self._patience = patience
        self._clock = clock

    async def discover(self, since: datetime) -> AsyncIterator[Batch]:
        """Every clip on every stick, a batch and a part a module. One module's trouble is told at the end too, and keeps no
        other's clips.

        Raises `ListingIncomplete`, `LoginNeeded`, `Refused`.
        """
        home = await self._homescreen()
        listed: asyncio.Queue[tuple[Batch, SourceError | None]] = asyncio.Queue()
        troubles: list[SourceError] = []
        left = False
        async with asyncio.TaskGroup() as listing:
            tasks = [listing.create_task(self._list(module, home, listed)) for module in home.sync_modules]
            for _ in tasks:
                batch, trouble = await listed.get()
                if trouble is not None:
                    troubles.append(trouble)
                if batch.part is not None:
                    try:
                        yield batch
                    except GeneratorExit:  # the group would make another error of it
                        left = True
                        break
            for task in tasks:
                task.cancel()
        if left:
            return
        for trouble in troubles:
            if isinstance(trouble, (LoginNeeded, Refused)):
                raise trouble
        if troubles:
            waits = [trouble.retry_after for trouble in troubles if trouble.retry_after is not None]
            raise ListingIncomplete("; ".join(map(str, troubles)), retry_after=max(waits, default=None)) from troubles[0]

    async def _homescreen(self) -> Homescreen:
        try:
            return await retry(self._client.homescreen, clock=self._clock, patience=self._patience)
        except (LoginNeeded, Refused):
            raise
        except SourceError as error:
            raise ListingIncomplete(
                f"the list of sync modules could not be read: {error}", status=error.status, retry_after=error.retry_after
            ) from error

    async def _list(self, module: SyncModule, home: Homescreen, listed: asyncio.Queue[tuple[Batch, SourceError | None]]) -> None:
        part = Part(
            scope=f"local:{self.account}:{module.network_id}:{module.id}:",
            name=f'sync module "{module.name or module.id}"',
        )
        desk = _Desk(self._client, module, self._clock)
        try:
            state = await retry(desk.storage.state, clock=self._clock, patience=self._patience)
        except SourceError as error:
            listed.put_nowait((Batch(part=replace(part, trouble=str(error))), error))
            return
        if state not in READABLE:
            away = replace(part, trouble=_unreadable(state), absent=state == NO_STORAGE) if state else None
            listed.put_nowait((Batch(part=away), None))
            return
        if module.offline:  # it would answer nothing, and a command would wait for it
            offline = SourceError(f"sync module {module.name!r} is offline")
            listed.put_nowait((Batch(part=replace(part, trouble=str(offline))), offline))
            return
        try:
            manifest = await desk.fresh()
        except SourceError as error:
            listed.put_nowait((Batch(part=replace(part, trouble=str(error))), error))
            return
        named = next((network.name for network in home.networks if network.id == module.network_id), "")
        cameras = [camera for camera in home.cameras if camera.network_id == module.network_id]
        listed_facts = facts_of(manifest)
        equal = Counter((facts.camera, facts.created_at) for facts in listed_facts)
        refs = tuple(
            self._ref(part.scope, desk, named, cameras, facts, alone=equal[facts.camera, facts.created_at] == 1)
            for facts in listed_facts
        )
        unreadable = tuple(replace(bad, item=f"{module.id}/{bad.item}") for bad in manifest.malformed)
        listed.put_nowait((Batch(found=refs, unreadable=unreadable, part=part), None))

    def _ref(self, scope: str, desk: _Desk, network: str, cameras: Sequence[Camera], facts: Facts, *, alone: bool) -> ClipRef:
        """`alone`: no other clip of the manifest is equal in camera and time, so that it can be told from all others."""
        at = facts.created_at.astimezone(UTC)
        camera = meant(facts.camera, cameras)
        nth = f":{facts.nth}" if facts.nth > 1 else ""
        clip = Clip(
            id=ClipId(f"{scope}{facts.camera}:{at:%Y-%m-%dT%H:%M:%SZ}{nth}"),
            account=self.account,
            network_id=str(desk.module.network_id),
            network=network,
            camera_id=None if camera is None else str(camera.id),
            camera=facts.camera if camera is None else camera.name,
            source=SourceName.SYNC_MODULE,
            trigger="",
            recorded_at=at,
        )

        @asynccontextmanager
        async def open_clip() -> AsyncIterator[Body]:
            manifest, item = await desk.upload(facts)
            # The module is free again, and uploads the next clip while this one is fetched.
            async with self._pace.download(), desk.fetched(manifest, item, facts) as body:
                yield body

        async def delete_clip() -> None:
            await desk.delete(facts)

        def fits(size: int) -> bool:
            return desk.sizes.confirm(facts.size, size)

        return ClipRef(clip=clip, open=open_clip, delete=delete_clip if alone else None, fits=fits)


_STICKS = {
    NO_STORAGE: "it has no stick",
    "unmounted": "its stick was ejected",
    "format_required": "its stick has to be formatted",
    "incompatible": "its stick cannot be used by it",
}


def _unreadable(status: str) -> str:
    """Why a stick cannot be read, in words."""
    return _STICKS.get(status, f"its stick cannot be read now (it is {status!r})")


class _Desk:
    """One module: its newest manifest, what it is doing for us, and how fast it is."""

    def __init__(self, client: Client, module: SyncModule, clock: Clock) -> None:
        self.module = module
        self.storage = client.local_storage(module)
        self._clock = clock
        self._turn = asyncio.Lock()
        self._manifest: Manifest | None = None
        self._taken_at = 0.0
        self._down: SourceError | None = None
        self._unfinished = 0
        self.sizes = Sizes()
        #: The hash of what came for a clip whose stated size it does not fit.
        self._unlike: dict[Facts, str] = {}
        #: Units of stated sizes per second, as learned; None before the first upload.
        self._rate: float | None = None
        #: What was on the stick before the last deletion, and what was deleted.
        self._before: tuple[frozenset[Facts], Facts] | None = None

    async def fresh(self) -> Manifest:
        """A manifest of this moment."""
        self._manifest = await self.storage.manifest()
        self._taken_at = self._clock.monotonic()
        return self._manifest

    async def upload(self, facts: Facts) -> tuple[Manifest, LocalClip]:
        """Have a clip uploaded; where it can be fetched now. One at a time, in the order of asking.

        A module that does not do what it accepted is asked nothing more: what it has stays for another run.
        """
        async with self._turn:
            if self._down is not None:
                raise ModuleAway(f"it waits for another run: {self._down}", code=self._down.code)
            try:
                manifest, item = await self._found(facts)
                began, looks = self._clock.monotonic(), 0
                expected = self._expected(item)
                first = min(expected, _LATEST_POLL)

                def pause(look: int) -> float:
                    nonlocal looks
                    looks = look + 1
                    return first if look == 0 else min(_SLOWEST_POLL, _NEXT_POLL * 1.2 ** (look - 1))

                longest = min(_LONGEST_UPLOAD, max(LONGEST, 2 * expected))
                await self.storage.prepare(manifest, item, longest=longest, polls=pause)
            except ClipGone:
                raise
            except SourceError as error:
                self.doubt()
                if isinstance(error, CommandUnfinished) and await self._does_other_things():
                    raise CommandFailed(f"{error}; the module does other things", code=error.code) from error
                self._judge(error)
                raise
            self._learn(item, self._clock.monotonic() - began, looks)
            return manifest, item

    async def _does_other_things(self) -> bool:
        """Whether a module that has not done what it accepted still makes a manifest: then that was one clip's trouble.

        Each such clip takes minutes, so a run bears only a few.
        """
        self._unfinished += 1
        if self._unfinished > _MOST_UNFINISHED:
            return False
        with suppress(SourceError):
            await self.fresh()
            return True
        return False

    async def _found(self, facts: Facts) -> tuple[Manifest, LocalClip]:
        """The clip in a manifest that is fresh enough, by all that lasts of it. Raises `ClipGone` when it is in none."""
        manifest = self._manifest
        if manifest is None or self._clock.monotonic() - self._taken_at > MANIFEST_LIFE:
            manifest = await self.fresh()
        for item, found in zip(manifest.clips, facts_of(manifest), strict=True):
            if found == facts:
                return manifest, item
        raise ClipGone(f"it is no longer on the stick of sync module {self.module.name!r}")

    async def delete(self, facts: Facts) -> None:
        """Delete a clip, by its number in a manifest that is taken for this and for nothing else.

        While the module is busy it may be starting anew, and has other numbers afterwards: each attempt is with a new manifest.
        Raises `ClipGone` when it is not on the stick, `CommandFailed` when it cannot be told from another or was not deleted,
        `ModuleAway` when the module does not do what it is asked; then it is asked nothing more.
        """
        async with self._turn:
            if self._down is not None:
                raise ModuleAway(f"it waits for another run: {self._down}", code=self._down.code)
            try:
                await retry(lambda: self._delete_once(facts), clock=self._clock, pauses=_BUSY_PAUSES, only=Busy)
            except SourceError as error:
                self._judge(error)
                raise
            finally:
                self.doubt()

    async def _delete_once(self, facts: Facts) -> None:
        try:
            manifest = await self.fresh()
        except Busy as error:  # it has been waited for
            self._down = error
            raise ModuleAway(str(error), code=error.code) from error
        there = facts_of(manifest)
        self._look_back(frozenset(there))
        alike = [
            item
            for item, found in zip(manifest.clips, there, strict=True)
            if (found.camera, found.created_at) == (facts.camera, facts.created_at)
        ]
        if not alike:
            raise ClipGone(f"it is no longer on the stick of sync module {self.module.name!r}")
        if len(alike) > 1 or facts not in there:
            raise CommandFailed(f"the stick of sync module {self.module.name!r} holds another clip that may be taken for it")
        self._before = frozenset(there), facts
        await self.storage.delete(manifest, alike[0], pauses=())

    def _look_back(self, there: frozenset[Facts]) -> None:
        """Raises `ModuleAway` when the last deletion took more than it should: then nothing more is deleted here."""
        if self._before is None:
            return
        before, deleted = self._before
        if lost := before - there - {deleted}:
            told = ", ".join(sorted(f"{one.camera} of {one.created_at:%Y-%m-%dT%H:%M:%SZ}" for one in lost))
            error = ModuleAway(f"while a clip was deleted, others went from the stick of {self.module.name!r}: {told}")
            self._down = error
            raise error

    def doubt(self) -> None:
        """The manifest's numbers may mean other clips by now."""
        self._manifest = None

    def _judge(self, error: SourceError) -> None:
        """Whether the module as a whole is away, so that its other clips need not find out one by one."""
        if isinstance(error, (Busy, CommandUnfinished)):
            self._down = error

    def _expected(self, item: LocalClip) -> float:
        """How many seconds the upload should take, a little less than that."""
        if self._rate is None or not item.size or item.size < 0:
            return _FIRST_POLL
        return max(_SOONEST_POLL, item.size / self._rate - _NEXT_POLL / 2)

    def _learn(self, item: LocalClip, seconds: float, looks: int) -> None:
        """How fast the module is. What was done at the first look may have been done long before it: then it is faster than
        it was thought to be, and the next first look is sooner.
        """
        if not item.size or item.size < 0 or seconds <= 0:
            return
        rate = item.size / seconds
        self._rate = rate * _FASTER if looks == 1 and self._rate is not None else rate

    @asynccontextmanager
    async def fetched(self, manifest: Manifest, item: LocalClip, facts: Facts) -> AsyncIterator[Body]:
        """The bytes of a clip that was uploaded just now. Raises `BadClip` when they are not there, or are another clip's."""
        async with AsyncExitStack() as stack:
            try:
                body = await stack.enter_async_context(self.storage.open(manifest, item))
            except ClipGone as error:
                self.doubt()
                raise BadClip(f"its upload was reported done, and it is not there ({error})") from error
            yield Body(length=body.length, type=body.type, chunks=self._weighed(body, facts))

    async def _weighed(self, body: Body, facts: Facts) -> AsyncIterator[bytes]:
        """The chunks of a clip. Raises `BadClip` when their size is not the stated one, as another clip's would not be; but
        when the same bytes come again by the number of a newer manifest, they are this clip, and its size is learned.
        """
        size, read = 0, hashlib.sha256()
        async for chunk in body.chunks:
            size += len(chunk)
            read.update(chunk)
            yield chunk
        if not self.sizes.fit(facts.size, size) and self._unlike.get(facts) != read.hexdigest():
            self._unlike[facts] = read.hexdigest()
            self.doubt()
            raise BadClip(f"{size} bytes came, and the manifest states a size of {facts.size}: it may be another clip")
        self.sizes.learn(facts.size, size)


def facts_of(manifest: Manifest) -> list[Facts]:
    """What lasts of each clip of a manifest, in its order."""
    counted: Counter[tuple[str, datetime]] = Counter()
    found = []
    for clip in manifest.clips:
        camera, at, size = clip.lasting
        counted[camera, at] += 1
        found.append(Facts(camera=camera, created_at=at, size=size, nth=counted[camera, at]))
    return found
