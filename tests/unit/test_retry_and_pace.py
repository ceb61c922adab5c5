"""The only retry loop, and how fast we may go."""

import asyncio

import pytest

from blinkarchive.clock import ManualClock
from blinkarchive.errors import BadClip, Busy, Forbidden, ServerTrouble, Throttled, Transient, Unreachable
from blinkarchive.pace import Figures, Pace
from blinkarchive.retry import Patience, retry


class Failing:
    """Fails with the given errors, then works."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_what_is_transient_is_tried_three_times_with_growing_pauses() -> None:
    clock = ManualClock()
    assert await retry(Failing(BadClip(), ServerTrouble()), clock=clock) == "done"
    assert clock.sleeps == [1.0, 4.0]
    work = Failing(BadClip("one"), BadClip("two"), BadClip("three"))
    with pytest.raises(BadClip, match="three"):
        await retry(work, clock=clock)
    assert work.calls == 3


async def test_what_is_not_transient_is_tried_once() -> None:
    clock = ManualClock()
    work = Failing(Forbidden())
    with pytest.raises(Forbidden):
        await retry(work, clock=clock)
    assert (work.calls, clock.sleeps) == (1, [])


@pytest.mark.parametrize(("asked", "waited"), [(7, 7), (0, 1), (-5, 1), (60, 60), (59.5, 59.5)])
async def test_the_wait_that_is_asked_for_is_kept_within_bounds(asked: float, waited: float) -> None:
    clock = ManualClock()
    await retry(Failing(Throttled(retry_after=asked)), clock=clock)
    assert clock.sleeps == [waited]


async def test_throttling_for_longer_than_a_run_waits_is_raised_at_once() -> None:
    for patience in (None, Patience()):
        clock, work = ManualClock(), Failing(Throttled(retry_after=61))
        with pytest.raises(Throttled):
            await retry(work, clock=clock, patience=patience)
        assert (work.calls, clock.sleeps) == (1, [])


async def test_throttling_without_a_stated_wait_is_waited_for_longer_each_time() -> None:
    clock, work = ManualClock(), Failing(*[Throttled("slow down") for _ in range(60)])
    with pytest.raises(Throttled):
        await retry(work, clock=clock, patience=Patience())
    assert clock.sleeps == [4.0, 8.0, 16.0, 32.0]


async def test_a_wait_asked_for_never_shortens_the_pause() -> None:
    clock = ManualClock()
    await retry(Failing(Transient(), Transient(retry_after=2)), clock=clock)
    assert clock.sleeps == [1.0, 4.0]


async def test_what_must_not_be_done_twice_is_done_again_only_after_the_fault_that_says_it_was_not_done() -> None:
    work = Failing(Busy(), Busy(), Unreachable())
    with pytest.raises(Unreachable):
        await retry(work, clock=ManualClock(), pauses=(1, 1, 1, 1), only=Busy)
    assert work.calls == 3


async def test_a_run_waits_for_throttling_only_so_long_in_all() -> None:
    clock = ManualClock()
    patience = Patience(60)
    await retry(Failing(Throttled(retry_after=40)), clock=clock, patience=patience)
    work = Failing(Throttled(retry_after=30))
    with pytest.raises(Throttled):
        await retry(work, clock=clock, patience=patience)
    assert work.calls == 1
    assert clock.sleeps == [40]


async def test_requests_keep_their_rate_after_a_small_burst() -> None:
    clock = ManualClock()
    pace = Pace(Figures(requests_per_second=2, burst=5), clock)
    sent = []
    for _ in range(25):
        await pace.request()
        sent.append(clock.monotonic())
    assert sent[:5] == [0.0] * 5
    assert sent[-1] == pytest.approx(10.0)


async def test_rest_earns_no_more_than_the_burst() -> None:
    clock = ManualClock()
    pace = Pace(Figures(requests_per_second=2, burst=5), clock)
    clock.advance(3600)
    for _ in range(7):
        await pace.request()
    assert clock.monotonic() == pytest.approx(3601.0)


async def test_an_unlimited_pace_never_waits() -> None:
    clock = ManualClock()
    pace = Pace(Figures(requests_per_second=float("inf")), clock)
    for _ in range(1000):
        await pace.request()
    assert clock.sleeps == []


async def test_downloads_at_the_same_time_are_bounded() -> None:
    pace = Pace(Figures(downloads=2), ManualClock())
    now = most = 0

    async def download() -> None:
        nonlocal now, most
        async with pace.download():
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(download())
    assert most == 2
