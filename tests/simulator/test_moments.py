"""Time passes while a request is answered, and what is said is true all the same."""

from __future__ import annotations

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.simulator import World
from tests.simulator.phone import Phone

A_MOMENT = 0.001


class RunningClock(ManualClock):
    """A clock that goes on by a moment whenever somebody looks at it."""

    def monotonic(self) -> float:
        self.advance(A_MOMENT)
        return super().monotonic()


@pytest.fixture
def world() -> World:
    return World.from_seed(1, clips=0, local_clips=3, clip_bytes=(8_000, 20_000), clock=RunningClock())


@pytest.mark.parametrize("moments", range(20, 40))
async def test_what_is_said_to_be_done_has_happened(phone: Phone, world: World, moments: int) -> None:
    world.rules.command_time = moments * A_MOMENT
    camera = world.account.cameras[0]
    _, asked = await phone.ask("POST", f"/network/{camera.network.id}/camera/{camera.id}/disable")
    complete = False
    while not complete:
        _, said = await phone.ask("GET", f"/network/{camera.network.id}/command/{asked['id']}")
        complete = said["complete"]
    assert not camera.enabled


@pytest.mark.parametrize("moments", range(20, 40))
async def test_a_manifest_is_either_not_ready_or_there(phone: Phone, world: World, moments: int) -> None:
    world.rules.manifest_time = moments * A_MOMENT
    module = world.account.sync_modules[0]
    house = f"/api/v1/accounts/{world.account.id}/networks/{module.network.id}"
    path = f"{house}/sync_modules/{module.id}/local_storage/manifest/request"
    _, asked = await phone.ask("POST", path)
    status, said = await phone.ask("GET", f"{path}/{asked['id']}")
    while status == 409:
        assert said["code"] == 2102
        status, said = await phone.ask("GET", f"{path}/{asked['id']}")
    assert len(said["clips"]) == 3
