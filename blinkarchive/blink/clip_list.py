"""The list of an account's clips in the cloud, by page numbers: Blink's older list, or the newer one once that is retired."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial

from blinkarchive.blink import endpoints, wire
from blinkarchive.blink.retired import Replaceable
from blinkarchive.blink.session import Session
from blinkarchive.errors import ServerTrouble

_WHAT = "the list of clips"

_LISTINGS_KEPT = 8
"""Of so many listings, each from another time, the keys of the pages are kept."""

_MOST_EMPTY = 20
"""So many pages in a row may hold nothing and yet have a next one."""

_NO_FILTER = {"filters": dict[str, object]()}


class ClipList:
    """One account's clips.

    The older list is addressed by page numbers. The newer one gives with each page the key of the next, so the keys met are
    kept, and a page number is looked up in them. The older list has what changed since a time, the newer one what was
    recorded since.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._endpoint = Replaceable("media list")
        #: By the beginning of a listing: the key of each page, from page 1; a None at the end stands for no further page.
        self._keys: dict[datetime, list[str | None]] = {}
        self._reading = asyncio.Lock()

    async def page(self, since: datetime, number: int) -> wire.MediaPage:
        """The page of this number, from 1. Raises `SourceError`."""
        return await self._endpoint.ask(partial(self._older, since, number), partial(self._newer, since, number))

    async def _older(self, since: datetime, number: int) -> wire.MediaPage:
        target = endpoints.media_changed(await self._session.account_id(), since, number)
        return await self._session.get(target, wire.media_page, what=_WHAT)

    async def _newer(self, since: datetime, number: int) -> wire.MediaPage:
        async with self._reading:
            return await self._by_keys(self._keys_of(since), since, number)

    async def _by_keys(self, keys: list[str | None], since: datetime, number: int) -> wire.MediaPage:
        while len(keys) < number and keys[-1] is not None:  # the older list was retired in the middle of a listing
            await self._read(since, keys, len(keys))
        for _ in range(_MOST_EMPTY):
            if len(keys) < number or keys[number - 1] is None:
                return wire.MediaPage(limit=0, items=(), malformed=())
            page = await self._read(since, keys, number)
            if page.items or page.malformed:
                return page
            keys[number - 1 :] = keys[number:]  # it holds nothing: the next page takes its number
        raise ServerTrouble(f"{_WHAT}: {_MOST_EMPTY} pages in a row hold nothing, and name a next one")

    async def _read(self, since: datetime, keys: list[str | None], number: int) -> wire.MediaPage:
        key = keys[number - 1] or ""
        target = endpoints.media(await self._session.account_id(), since, key)
        page = await self._session.post(target, wire.media_page, what=_WHAT, json=_NO_FILTER)
        after = page.next if page.next != key else ""
        if after and after in keys[:number]:
            raise ServerTrouble(f"{_WHAT}: page {number} leads back to an earlier one")
        keys[number:] = [after or None]
        return page

    def _keys_of(self, since: datetime) -> list[str | None]:
        keys = self._keys.pop(since, None) or [""]
        self._keys[since] = keys  # the latest is last
        while len(self._keys) > _LISTINGS_KEPT:
            del self._keys[next(iter(self._keys))]
        return keys
