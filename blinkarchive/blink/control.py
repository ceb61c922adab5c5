"""What an owner asks of networks and cameras, and what those say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blinkarchive.blink import endpoints, wire
from blinkarchive.blink.commands import Commands
from blinkarchive.blink.session import Session
from blinkarchive.blink.wire import Camera, CameraConfig, Family, LiveView, Network, Signals
from blinkarchive.errors import SourceError


class Control:
    """The devices of one account. What is asked of them here has been done when the call returns.

    Every method raises what `Commands.run` does.
    """

    def __init__(self, session: Session, commands: Commands) -> None:
        self._session = session
        self._commands = commands

    async def arm(self, network: int, *, arm: bool) -> None:
        """Arm or disarm a network."""
        target = endpoints.arming(await self._account(), network, arm=arm)
        await self._commands.run(target, network=network, what=f"{'arming' if arm else 'disarming'} network {network}")

    async def watch(self, camera: Camera, *, on: bool) -> None:
        """Let a camera look for motion, or not."""
        what = f"switching {_named(camera)} {'on' if on else 'off'}"
        base = await self._base(camera)
        if camera.family is Family.OWL:
            await self._commands.run(f"{base}/config", network=camera.network_id, what=what, json={"enabled": on})
        else:
            await self._commands.run(f"{base}/{'enable' if on else 'disable'}", network=camera.network_id, what=what)

    async def snap(self, camera: Camera) -> None:
        """Take a picture: afterwards the homescreen leads to it."""
        target = f"{await self._base(camera)}/thumbnail"
        await self._commands.run(target, network=camera.network_id, what=f"a picture by {_named(camera)}")

    async def record(self, camera: Camera) -> None:
        """Take a clip: afterwards it comes into the list of clips, or onto the stick."""
        target = f"{await self._base(camera)}/clip"
        await self._commands.run(target, network=camera.network_id, what=f"a clip by {_named(camera)}")

    async def configure(self, camera: Camera, settings: Mapping[str, Any]) -> None:
        """Change settings, by Blink's words."""
        target = f"{await self._base(camera)}/{'update' if camera.family is Family.CAMERA else 'config'}"
        what = f"the settings of {_named(camera)}"
        await self._commands.run(target, network=camera.network_id, what=what, json=dict(settings))

    async def light(self, camera: Camera, *, on: bool) -> None:
        """Switch a wired floodlight."""
        target = f"{await self._base(camera)}/lights/{'on' if on else 'off'}"
        await self._commands.run(target, network=camera.network_id, what=f"the light of {_named(camera)}")

    async def live(self, camera: Camera) -> LiveView:
        """Open a live view. It is for the caller to watch it, and to say when it is over."""
        _check_family(camera)
        target = endpoints.liveview(await self._account(), camera.network_id, camera.family, camera.id)
        body = {"intent": "liveview", "motion_event_start_time": None}
        what = f"a live view of {_named(camera)}"
        async with self._commands.turn(camera.network_id):
            return await self._session.post(target, wire.live_view, what=what, json=body)

    async def config(self, camera: Camera) -> CameraConfig:
        """A camera's settings."""
        target = f"{await self._base(camera)}/config"
        return await self._session.get(target, wire.camera_config, what=f"the settings of {_named(camera)}", detail=True)

    async def signals(self, camera: Camera) -> Signals:
        """How well a camera is heard, and how warm it is there. Cameras with batteries alone are asked."""
        target = f"{await self._base(camera)}/signals"
        return await self._session.get(target, wire.signals, what=f"the signals of {_named(camera)}", detail=True)

    async def network(self, network: int) -> Network:
        """What a network says of itself."""
        return await self._session.get(endpoints.network(network), wire.network, what=f"network {network}")

    async def _account(self) -> int:
        return await self._session.account_id()

    async def _base(self, camera: Camera) -> str:
        _check_family(camera)
        return endpoints.camera(await self._account(), camera.network_id, camera.family, camera.id)


def _check_family(camera: Camera) -> None:
    """Raise `SourceError` for a camera without a known address: an invented one may be another device's."""
    if camera.family is Family.OTHER:
        kind = f"of type {camera.type!r}" if camera.type else "of an unknown type"
        raise SourceError(
            f"{_named(camera)} is {kind}, which this version of blinkarchive cannot control; its clips are archived. "
            "See whether there is a newer version"
        )


def _named(camera: Camera) -> str:
    return f"camera {camera.name!r}" if camera.name else f"camera {camera.id}"
