"""The cloud's media list as a source of clips."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from blinkarchive.blink.listing import is_again, is_full
from blinkarchive.clock import Clock
from blinkarchive.errors import ListingIncomplete, LoginNeeded, Refused, SourceError
from blinkarchive.interfaces import Batch, Body, ClipRef, LeftOut, Part
from blinkarchive.model import Clip, ClipId, SourceName
from blinkarchive.pace import Pace
from blinkarchive.retry import Patience, retry

if TYPE_CHECKING:
    from blinkarchive.blink import Client, MediaItem, MediaPage

log = logging.getLogger(__name__)

_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_PASSES = 5
_MOST_STALE = 2
_NEITHER = -1


class MediaList:
    """Lists one account's clips in the cloud.

    The list has no total, no order that is promised, and moves while it is read: a clip that arrives pushes the others
    down (they are seen twice); one that goes pulls them up (one may slip past between two pages). So it is read down to
    the first empty page, and up again, and what was met going down must be met again: then nothing went, so nothing slipped
    past. What sank meanwhile, below pages already read again, is met on the next way down. Up to five times down and up;
    without haste in the list that is two requests a page, and one more when the last is full: only an empty one shows the end.
    """

    def __init__(self, account: str, blink: Client, *, pace: Pace, patience: Patience, clock: Clock) -> None:
        self.account = account
        self.name = SourceName.CLOUD
        self._blink = blink
        self._pace = pace
        self._patience = patience
        self._clock = clock

    async def discover(self, since: datetime) -> AsyncIterator[Batch]:
        """Every item that has changed since a time, once.

        The cloud is one part: the last batch says how its listing ended.

        Of each item it is kept which way over the list met it last, down (0, 2, …) or up (1, 3, …): one number, and nothing else
        of a list that may have tens of thousands.

        Raises `ListingIncomplete` when a page cannot be had or the list never comes to rest; `LoginNeeded`; `Refused`.
        """
        try:
            async with aclosing(self._pages(since)) as batches:
                async for batch in batches:
                    yield batch
        except SourceError as error:
            yield Batch(part=self._part(str(error)))
            raise
        yield Batch(part=self._part(keeps=await self._keeps() if since <= _ALWAYS else None))

    def _part(self, trouble: str = "", keeps: timedelta | None = None) -> Part:
        return Part(scope=f"cloud:{self.account}:", name="the cloud", trouble=trouble, keeps=keeps)

    async def _keeps(self) -> timedelta | None:
        """How long the cloud keeps a clip, as the owner has set it. It is asked when all is listed, once a day, and may fail."""
        try:
            home = await retry(self._blink.homescreen, clock=self._clock, patience=self._patience)
        except SourceError as error:
            log.info("how long clips are kept is not known", extra={"account": self.account, "because": str(error)})
            return None
        return None if home.auto_delete_days is None else timedelta(days=home.auto_delete_days)

    async def _pages(self, since: datetime) -> AsyncGenerator[Batch, None]:
        met: dict[int | str, int] = {}
        for down in range(0, 2 * _MOST_PASSES, 2):
            bottom: tuple[MediaItem, ...] = ()
            before: MediaPage | None = None
            last = stale = 0
            full = False
            while (page := await self._page(since, last + 1)).items or page.malformed:
                if before is not None and is_again(page, before) and not stale and (last > 1 or not full):
                    break  # that was the last page
                last += 1
                before, bottom = page, page.items
                full = is_full(page)
                stale = stale + 1 if all(met.get(item.id) == down for item in bottom) else 0
                if stale > _MOST_STALE:
                    raise ListingIncomplete(f"the media list repeats itself: page {last} brought nothing new")
                yield self._batch(page, met, down)
            if down and down - 2 not in met.values():
                return
            if not full:  # below such a page there is nothing that could slip into it
                met.update((item.id, down + 1) for item in bottom)
            for number in range(last if full else last - 1, 0, -1):
                yield self._batch(await self._page(since, number), met, down + 1)
            if down not in met.values():
                return
            log.info("the media list moved while it was read; reading it again")
        raise ListingIncomplete(f"the media list changed each of the {_MOST_PASSES} times it was read")

    async def _page(self, since: datetime, number: int) -> MediaPage:
        try:
            log.debug("listing", extra={"account": self.account, "page": number})
            return await retry(lambda: self._blink.media_page(since, number), clock=self._clock, patience=self._patience)
        except (LoginNeeded, Refused):
            raise
        except SourceError as error:
            raise ListingIncomplete(
                f"page {number} of the media list could not be read: {error}",
                status=error.status,
                retry_after=error.retry_after,
            ) from error

    def _batch(self, page: MediaPage, met: dict[int | str, int], way: int) -> Batch:
        """What the page holds that has not been met before. From now on this way has met it last."""
        found, left_out, unreadable = [], [], []
        for item in page.items:
            is_new = item.id not in met
            met[item.id] = way
            if not is_new:
                continue
            if reason := _left_out(item):
                left_out.append(LeftOut(item=str(item.id), reason=reason))
            else:
                found.append(self._ref(item))
        for bad in page.malformed:
            known_as = bad.item or bad.raw
            if known_as not in met:
                met[known_as] = _NEITHER
                unreadable.append(bad)
        return Batch(found=tuple(found), left_out=tuple(left_out), unreadable=tuple(unreadable))

    def _ref(self, item: MediaItem) -> ClipRef:
        clip = Clip(
            id=ClipId(f"cloud:{self.account}:{item.id}"),
            account=self.account,
            network_id="" if item.network_id is None else str(item.network_id),
            network=item.network_name,
            camera_id=None if item.device_id is None else str(item.device_id),
            camera=item.device_name,
            source=SourceName.CLOUD,
            trigger=item.trigger,
            recorded_at=item.created_at,
            description=item.description,
            detections=item.detections,
        )

        @asynccontextmanager
        async def open_media() -> AsyncIterator[Body]:
            async with self._pace.download(), self._blink.media(item.media) as body:
                yield body

        async def delete_media() -> None:
            await self._blink.delete_media([item.id])

        return ClipRef(clip=clip, open=open_media, delete=delete_media)


def _left_out(item: MediaItem) -> str:
    """Why there is no clip to fetch now; "" when there is one."""
    if item.deleted:
        return "deleted"
    if item.partial:
        return "partial"
    if not item.media:
        return "no video"
    return ""
