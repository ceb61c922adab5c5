"""A signal at any moment of a run: it ends with a report of what was done, and the next run gets the rest."""

from __future__ import annotations

import asyncio
import signal

import pytest

from blinkarchive.simulator import World
from blinkarchive.simulator.plan import Rules
from tests.acceptance.conftest import Houses, ended, films
from tests.acceptance.test_sticks import films as local_films

SLOW = Rules(command_time=0.5, manifest_time=1.5, upload_start=0.5, latency=0.2)
"""Each part of a run takes long enough to be met in its middle."""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("/oauth/token", id="sign-in"),
        pytest.param("homescreen", id="homescreen"),
        pytest.param("/manifest/request", id="manifest-is-made"),
        pytest.param("/clip/request/", id="clip-is-uploaded"),
        pytest.param("media/changed", id="media-list"),
    ],
)
async def test_a_signal_ends_a_polite_run_with_its_report(house_of: Houses, moment: str, signum: signal.Signals) -> None:
    made = World.from_seed(5, networks=2, clips=20, local_clips=3, clip_bytes=(8_000, 40_000), rules=SLOW)
    async with house_of(made) as house:
        house.configure(pace='"polite"', more="[source.sync-module]\n")
        process = await house.start("run", "--json")
        while not house.asked(moment):
            assert process.returncode is None
            await asyncio.sleep(0.02)
        process.send_signal(signum)
        stopped = await ended(process)
        assert (stopped.code, "Traceback" in stopped.err) == (130, False), stopped.err
        assert stopped.report["stopped"] is True
        assert stopped.report["stored"] <= len(house.clips())
        made.rules.latency = 0
        house.configure(more="[source.sync-module]\n")
        assert (await house("run", "--json")).code == 0
        assert set(house.clips().values()) == films(made) | local_films(made)
