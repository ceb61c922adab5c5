"""The simulator as a child: says where it is, tells what it saw for every line it reads, ends when nobody can write any more."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from datetime import timedelta

from blinkarchive.clock import Clock
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, Rules, SyncModulePlan, WorldPlan
from blinkarchive.simulator.server import Running, Simulator
from blinkarchive.simulator.world import World

WARMED = 1_000_000_000
"""So many bytes of films are made before anybody asks for them."""


def world(
    *, clips: int, size: int, delay: float = 0.0, rate: float = 0.0, page_size: int = 500, uplink: int | None = None
) -> World:
    """One account without a second factor, one camera, and a clip a minute up to now: in the cloud, or, with an `uplink`, on the
    stick of a module that has so many bytes a second; there they are from half as large to half as large again.
    """
    modules = () if uplink is None else (SyncModulePlan(name="Module", uplink=uplink),)
    network = NetworkPlan(name="Home", cameras=(CameraPlan(name="Front Door"),), sync_modules=modules)
    account = AccountPlan(
        username="owner@example.org", password="open-sesame-42", second_factor="none", clips=0, networks=(network,)
    )
    made = World(WorldPlan(accounts=(account,), rules=Rules(latency=delay, bandwidth=int(rate), page_size=page_size)))
    newest = Clock().now() - timedelta(minutes=1)
    for age in reversed(range(clips)):
        created_at = newest - timedelta(minutes=age)
        if uplink is None:
            made.account.add_clip(created_at=created_at, size=size)
        else:
            made.account.add_local_clip(created_at=created_at, size=size // 2 + age * size // max(1, clips - 1))
    return made


async def main(asked: str) -> None:
    """Serve the world that a JSON object describes."""
    async with Simulator(world(**json.loads(asked))).serving() as running:
        account = running.world.account
        takes = [clip.take for clip in account.clips] or [clip.take for clip in account.sync_modules[0].stick.clips]
        for take in takes[: WARMED // max(take.size for take in takes)]:
            running.footage.path(take)
        _say(
            {
                "url": running.url,
                "username": account.username,
                "password": account.password,
                "token": running.world.signins.sign_in(account)["access_token"],
                "account_id": account.id,
                "network_id": account.networks[0].id,
                "module_id": account.sync_modules[0].id if account.sync_modules else 0,
                "total": sum(take.size for take in takes),
            }
        )
        looked = time.process_time()
        while await asyncio.to_thread(sys.stdin.readline):
            now = time.process_time()
            _say(_seen(running, now - looked))
            running.log.clear()
            looked = now


def _seen(running: Running, cpu: float) -> dict[str, object]:
    films = sum(exchange.path.endswith(".mp4") for exchange in running.log)
    pages = sum(exchange.path.endswith("/media/changed") for exchange in running.log)
    uploads = [exchange for exchange in running.log if "/clip/request/" in exchange.path]
    asked = [exchange for exchange in uploads if exchange.method == "POST"]
    began = asked[0].began if asked else math.inf
    return {
        "polls": sum("/command/" in exchange.path and exchange.began >= began for exchange in running.log),
        "uploading": max(exchange.ended or 0.0 for exchange in uploads) - began if asked else 0.0,
        "pages": pages,
        "films": films,
        "others": len(running.log) - films - pages,
        "first": min((exchange.began for exchange in running.log), default=None),
        "cpu": cpu,
    }


def _say(value: dict[str, object]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
