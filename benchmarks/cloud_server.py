"""The simulator as a child: says where it is, tells what it saw for every line it reads, ends when nobody can write any more."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import timedelta

from blinkarchive.clock import Clock
from blinkarchive.simulator.plan import AccountPlan, CameraPlan, NetworkPlan, Rules, WorldPlan
from blinkarchive.simulator.server import Running, Simulator
from blinkarchive.simulator.world import World

WARMED = 1_000_000_000
"""So many bytes of films are made before anybody asks for them."""


def world(*, clips: int, size: int, delay: float, rate: float, page_size: int) -> World:
    """One account without a second factor, one camera, and a clip a minute up to now."""
    network = NetworkPlan(name="Home", cameras=(CameraPlan(name="Front Door"),))
    account = AccountPlan(
        username="owner@example.org", password="open-sesame-42", second_factor="none", clips=0, networks=(network,)
    )
    made = World(WorldPlan(accounts=(account,), rules=Rules(latency=delay, bandwidth=int(rate), page_size=page_size)))
    newest = Clock().now() - timedelta(minutes=1)
    for age in reversed(range(clips)):
        made.account.add_clip(created_at=newest - timedelta(minutes=age), size=size)
    return made


async def main(asked: str) -> None:
    """Serve the world that a JSON object describes."""
    async with Simulator(world(**json.loads(asked))).serving() as running:
        account = running.world.account
        for clip in account.clips[: WARMED // max(clip.take.size for clip in account.clips)]:
            running.footage.path(clip.take)
        _say(
            {
                "url": running.url,
                "username": account.username,
                "password": account.password,
                "token": running.world.signins.sign_in(account)["access_token"],
                "account_id": account.id,
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
    return {
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
