"""A house with a camera of every family, whose devices are quick."""

from __future__ import annotations

from blinkarchive.simulator import (
    Account,
    AccountPlan,
    Camera,
    CameraPlan,
    Network,
    NetworkPlan,
    Rules,
    SyncModulePlan,
    World,
    WorldPlan,
)

QUICKLY = 0.05


def house(*, local_clips: int = 0) -> World:
    """Two systems with a module, one of a camera that needs none. Names are unique: blinkpy keeps things by their names."""
    home = NetworkPlan(
        name="Home",
        sync_modules=(SyncModulePlan(name="Home Module", clips=local_clips, uplink=0),),
        cameras=(
            CameraPlan(name="Back Yard", type="catalina"),
            CameraPlan(name="Garage", type="white"),
            CameraPlan(name="Front Door", type="lotus"),
            CameraPlan(name="Hall", type="owl"),
        ),
    )
    lake = NetworkPlan(
        name="Lake House",
        sync_modules=(SyncModulePlan(name="Lake Module", local_storage="unavailable"),),
        cameras=(CameraPlan(name="Jetty", type="sedona"),),
        armed=False,
    )
    flat = NetworkPlan(name="Flat", cameras=(CameraPlan(name="Kitchen", type="hawk"),))
    account = AccountPlan(
        username="owner@example.org", password="open-sesame-42", second_factor="none", networks=(home, lake, flat), clips=20
    )
    rules = Rules(command_time=QUICKLY, manifest_time=QUICKLY, upload_start=QUICKLY)
    return World(WorldPlan(accounts=(account,), clip_bytes=(8_000, 40_000), rules=rules))


def camera(account: Account, name: str) -> Camera:
    return next(camera for camera in account.cameras if camera.name == name)


def network(account: Account, name: str) -> Network:
    return next(network for network in account.networks if network.name == name)


async def settled(world: World) -> None:
    """Wait until what a device was asked for has happened, where blinkpy does not."""
    await world.clock.sleep(2 * QUICKLY)
