"""The clips on a sync module's stick: listed by a manifest, uploaded on request, fetched, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from blinkarchive.blink import endpoints, wire
from blinkarchive.blink.commands import BUSY_PAUSES, LONGEST, POLL, Commands, Polls
from blinkarchive.blink.media import media
from blinkarchive.blink.retired import is_retired
from blinkarchive.blink.session import Session
from blinkarchive.blink.wire import LocalClip, Manifest, StorageStatus, SyncModule
from blinkarchive.clock import Clock
from blinkarchive.errors import Busy, Refused, SourceError
from blinkarchive.interfaces import Body
from blinkarchive.retry import retry

MANIFEST_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""How long a manifest that is not there yet, although its command is complete, is waited for, in seconds."""


class LocalStorage:
    """One module's stick. A clip's number is good with the manifest it came in, and with no other.

    The module does one thing at a time, so everything here that wakes it waits for its turn. Every method raises `Busy`,
    `CommandFailed`, `CommandUnfinished`, or another `SourceError`.
    """

    def __init__(self, session: Session, commands: Commands, clock: Clock, module: SyncModule) -> None:
        self._session = session
        self._commands = commands
        self._clock = clock
        self.module = module
        self._what = f"sync module {module.name!r}" if module.name else f"sync module {module.id}"

    async def status(self) -> StorageStatus:
        """The state of the stick. The module is not woken for it."""
        return await self._session.get(f"{await self._base()}/status", wire.storage_status, what=f"{self._what}: its stick")

    async def state(self) -> str:
        """The state of the stick in lower case, as the homescreen has it; where it has none that is known, as the stick itself is
        asked for it. "" when neither tells.
        """
        listed = self.module.local_storage_status.casefold()
        if listed in wire.STORAGE_STATES:
            return listed
        try:
            return (await self.status()).usb_state.casefold()
        except SourceError as error:
            if isinstance(error, Refused) or is_retired(error):
                return listed
            raise

    async def manifest(self) -> Manifest:
        """What is on the stick now."""
        what = f"{self._what}: the manifest"
        network = self.module.network_id
        base = await self._base()
        async with self._commands.turn(network):
            command = await self._commands.ask(f"{base}/manifest/request", what=what, harmless=True)
            child = (await self._commands.wait(command, network=network, what=what)).child
            ids = tuple(dict.fromkeys((command.id, child or command.id)))
            return await retry(lambda: self._brought(base, ids, what), clock=self._clock, pauses=MANIFEST_PAUSES)

    async def _brought(self, base: str, ids: Sequence[int], what: str) -> Manifest:
        """The manifest that a command has brought: it is kept for the command or for a part of it, and in a newer place where
        the older one is retired. Raises what the first place answers.
        """
        missing: SourceError | None = None
        for id in ids:
            try:
                return await self._session.get(f"{base}/manifest/request/{id}", wire.manifest, what=what)
            except SourceError as error:
                if not isinstance(error, Busy) and not is_retired(error):
                    raise
                missing = missing or error
        assert missing is not None
        if is_retired(missing):
            with suppress(SourceError):
                return await self._session.get(f"{base}/media/{ids[-1]}", wire.manifest, what=what)
        raise missing

    async def prepare(
        self, manifest: Manifest, clip: LocalClip, *, longest: float = LONGEST, polls: Polls = lambda _: POLL
    ) -> None:
        """Have a clip uploaded by the module; afterwards it can be opened for a while."""
        what = f"{self._what}: the upload of clip {clip.id}"
        network = self.module.network_id
        async with self._commands.turn(network):
            command = await self._commands.ask(await self._clip(manifest, clip), what=what)
            await self._commands.wait(command, network=network, what=what, longest=longest, polls=polls)

    @asynccontextmanager
    async def open(self, manifest: Manifest, clip: LocalClip) -> AsyncIterator[Body]:
        """The bytes of a clip that was uploaded, as they come. Raises `ClipGone` for one that was not."""
        async with media(self._session, await self._clip(manifest, clip), what=f"{self._what}: clip {clip.id}") as body:
            yield body

    async def delete(self, manifest: Manifest, clip: LocalClip, *, pauses: Sequence[float] = BUSY_PAUSES) -> None:
        """Delete a clip. The module has said that it did: whether it is gone, the next manifest tells.

        `pauses` are between attempts while the module is busy. Without any, who asks again can do so with a manifest of then: a
        module that starts anew is busy too, and has other numbers afterwards.
        """
        target = endpoints.local_deletion(await self._base(), manifest.id, clip.id)
        what = f"{self._what}: the deletion of clip {clip.id}"
        await self._commands.run(target, network=self.module.network_id, what=what, pauses=pauses)

    async def _base(self) -> str:
        return endpoints.local_storage(await self._session.account_id(), self.module.network_id, self.module.id)

    async def _clip(self, manifest: Manifest, clip: LocalClip) -> str:
        return endpoints.local_clip(await self._base(), manifest.id, clip.id)
