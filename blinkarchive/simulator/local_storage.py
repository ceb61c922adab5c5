"""A sync module's stick as the cloud lets it be read: manifest, upload, film, deletion."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from blinkarchive.simulator import bodies
from blinkarchive.simulator.answers import MANIFEST_FAILED, MANIFEST_NOT_READY, Refusal, as_json, media_not_found, not_found
from blinkarchive.simulator.commands import Command
from blinkarchive.simulator.devices import SyncModule
from blinkarchive.simulator.faults import OUTCOMES, Kind, Place, Target
from blinkarchive.simulator.films import Films, Showing
from blinkarchive.simulator.gate import Gate
from blinkarchive.simulator.stick import LocalClip, Manifest
from blinkarchive.simulator.trouble import answer
from blinkarchive.simulator.world import Account, World

_CHANGES = frozenset({Kind.INSERT, Kind.DELETE, Kind.RENUMBER, Kind.UNPLUG})


class LocalStorage:
    """What is said of a stick, and done to it."""

    def __init__(self, world: World, gate: Gate, films: Films) -> None:
        self._world = world
        self._gate = gate
        self._films = films
        self._manifests: dict[int, Manifest] = {}  # what each command has brought, by the id that it is kept for

    def routes(self) -> list[web.RouteDef]:
        stick = "/api/v1/accounts/{account}/networks/{network}/sync_modules/{module}/local_storage"
        command, manifest, clip = "{command:[0-9]{1,18}}", "{manifest:[a-z]?[0-9]{1,18}}", "{clip:[a-z]?[0-9]{1,18}}"
        return [
            web.get(f"{stick}/status", self.status),
            web.post(f"{stick}/manifest/request", self.request_manifest),
            web.get(f"{stick}/manifest/request/{command}", self.manifest),
            web.get(f"{stick}/media/{command}", self.newer_manifest),
            web.post(f"{stick}/manifest/{manifest}/clip/request/{clip}", self.request_clip),
            web.get(f"{stick}/manifest/{manifest}/clip/request/{clip}", self.film),
            web.post(f"{stick}/manifest/{manifest}/clip/delete/{clip}", self.delete_clip),
            web.post(f"{stick}/{{what:eject|mount|format}}", self.handle),
            web.delete(stick, self.handle),
        ]

    async def status(self, request: web.Request) -> web.StreamResponse:
        """The state of the stick. The module need not be awake for it."""
        account, module = self._gate.sync_module(request)

        async def usual() -> web.StreamResponse:
            return as_json(bodies.storage(module))

        return await answer(request, self._world, Place.STORAGE, usual, _aim(account, module))

    async def request_manifest(self, request: web.Request) -> web.StreamResponse:
        """Ask for a manifest."""
        account, module = self._gate.sync_module(request)
        target = _aim(account, module)
        self._stir(account, module, Place.MANIFEST, target)

        def started(command: Command) -> None:
            self._world.timeline.at(command.ends, lambda _: self._keep(command, module))

        return await self._ask(
            request, Place.MANIFEST, target, module, "manifest", self._world.rules.manifest_time, lambda _: None, started
        )

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        """What the module has brought."""
        account, module = self._gate.sync_module(request)

        async def usual() -> web.StreamResponse:
            if self._world.rules.manifest_place == "newer":
                raise not_found()
            prefix = "m" if self._world.rules.local_ids == "letters" else ""
            return as_json(bodies.manifest(self._brought(request, module), prefix))

        return await answer(request, self._world, Place.MANIFEST_READ, usual, _aim(account, module))

    async def newer_manifest(self, request: web.Request) -> web.StreamResponse:
        """The same in the newer form."""
        account, module = self._gate.sync_module(request)
        path = request.path.rpartition("/media/")[0]

        async def usual() -> web.StreamResponse:
            found = self._brought(request, module)
            return as_json(bodies.newer_manifest(found, path, self._world.rules.manifest_times))

        return await answer(request, self._world, Place.MANIFEST_READ, usual, _aim(account, module))

    async def request_clip(self, request: web.Request) -> web.StreamResponse:
        """Ask for a clip's upload."""
        account, module = self._gate.sync_module(request)
        clip, target = self._clip(request, account, module, Place.UPLOAD)
        rules = self._world.rules

        def done(_: datetime) -> None:
            assert clip is not None
            clip.fetchable_until = self._world.clock.monotonic() + rules.upload_life

        seconds = rules.upload_start
        if clip is not None and module.uplink:
            seconds += clip.take.size / module.uplink
        return await self._ask(request, Place.UPLOAD, target, module, "clip_upload", seconds, done if clip else None)

    async def film(self, request: web.Request) -> web.StreamResponse:
        """The film of a clip that was uploaded: from the same address that its upload was asked at."""
        account, module = self._gate.sync_module(request)
        clip = self._found(request, module)
        target = _aim(account, module, clip)

        def wanted() -> Showing:
            if clip is None or clip.fetchable_until <= self._world.clock.monotonic():
                raise media_not_found()
            return Showing(take=clip.take, size=clip.take.size)

        return await self._films.show(request, Place.LOCAL_MEDIA, target, wanted)

    async def delete_clip(self, request: web.Request) -> web.StreamResponse:
        """Ask for a clip's deletion."""
        account, module = self._gate.sync_module(request)
        clip, target = self._clip(request, account, module, Place.LOCAL_DELETE)

        def done(_: datetime) -> None:
            assert clip is not None
            self._world.deleting(clip)
            module.stick.remove(clip)

        seconds = self._world.rules.command_time
        return await self._ask(request, Place.LOCAL_DELETE, target, module, "clip_delete", seconds, done if clip else None)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Eject, mount, format or empty the stick."""
        account, module = self._gate.sync_module(request)
        what = request.match_info.get("what", "empty")

        def done(_: datetime) -> None:
            if what in ("format", "empty"):
                module.stick.clear()
            module.local_storage = "unmounted" if what == "eject" else "active"

        seconds = self._world.rules.command_time
        return await self._ask(request, Place.STORAGE, _aim(account, module), module, what, seconds, done, unread=True)

    async def _ask(
        self,
        request: web.Request,
        place: Place,
        target: Target,
        module: SyncModule,
        name: str,
        seconds: float,
        done: Callable[[datetime], None] | None,
        started: Callable[[Command], None] = lambda _: None,
        *,
        unread: bool = False,
    ) -> web.StreamResponse:
        """Start a command of the module. Without anything that it could do (`done`), or with a stick that cannot be read
        (unless it need not be: `unread`), it is accepted all the same, and ends badly.
        """

        async def usual() -> web.StreamResponse:
            command = self._world.commands.start(
                name,
                network=module.network,
                module=module,
                seconds=seconds,
                fault=self._world.faults.strike(place, target, OUTCOMES),
                parts=int(place is Place.MANIFEST and self._world.rules.manifest_place != "command"),
                done=done if done is not None and (module.readable or unread) else None,
            )
            if command.ends < math.inf and not command.status:
                started(command)
            return as_json({"id": command.id, "network_id": module.network.id})

        return await answer(request, self._world, place, usual, target)

    def _keep(self, command: Command, module: SyncModule) -> None:
        self._manifests[(command.parts or [command.id])[0]] = module.stick.manifest()

    def _brought(self, request: web.Request, module: SyncModule) -> Manifest:
        id = int(request.match_info["command"])
        now = self._world.clock.monotonic()
        self._world.timeline.settle()  # what has ended well has brought something
        if found := self._manifests.get(id):
            return found
        ended = self._world.commands.get(module.network, id).complete(now)
        raise Refusal(409, MANIFEST_FAILED if ended else MANIFEST_NOT_READY)

    def _clip(self, request: web.Request, account: Account, module: SyncModule, place: Place) -> tuple[LocalClip | None, Target]:
        """The clip that is meant, after what the script wants to happen first."""
        self._stir(account, module, place, _aim(account, module, self._found(request, module)))
        clip = self._found(request, module)
        return clip, _aim(account, module, clip)

    def _found(self, request: web.Request, module: SyncModule) -> LocalClip | None:
        """The clip that the address means now."""
        manifest, number = (int(request.match_info[id].lstrip("m")) for id in ("manifest", "clip"))
        return module.stick.find(manifest, number, self._world.rules.old_manifest)

    def _stir(self, account: Account, module: SyncModule, place: Place, target: Target) -> None:
        """Let happen to the stick what the script wants to happen just before."""
        for fault in self._world.faults.strike_all(place, target, _CHANGES):
            match fault.kind:
                case Kind.INSERT:
                    account.add_local_clip(module)
                case Kind.DELETE if module.stick.clips:
                    module.stick.remove(module.stick.clips[0])
                case Kind.RENUMBER:
                    module.stick.renumber()
                case Kind.UNPLUG:
                    module.local_storage = fault.to or "unavailable"


def _aim(account: Account, module: SyncModule, clip: LocalClip | None = None) -> Target:
    return Target(
        account=account.username,
        module=module.name,
        clip=None if clip is None else clip.number,
        camera=None if clip is None else clip.camera,
    )
