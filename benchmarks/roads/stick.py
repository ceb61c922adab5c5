"""P10: clips on a sync module's stick, 0.5 to 1.5 MB, through an uplink of 500 kB/s, one command at a time.

What binds is the uplink: the question is how much of it is used from the first upload that is asked for to the last byte that is
fetched. The rival is blinkpy's own way: one clip after the other, a look at the command each second.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.cloud import cloud
from benchmarks.measure import MB, CannotRun, Spread, take_turns
from benchmarks.ours import blinkarchive
from benchmarks.report import Row, Told

UPLINK = 500_000
CLIPS = 12
WHY = "Between two uploads are the last look at the one, the request of the next and 0.1 s that the module takes to begin."


def measure(bench: Bench) -> Iterator[Row | Told]:
    with cloud(bench.scratch, clips=CLIPS, size=MB, uplink=UPLINK) as house:
        try:
            us, ours = house.watched(blinkarchive(house))
            blinkpy, theirs = house.watched(peers.blinkpy_stick(house))
            take_turns([us, blinkpy], bench.pairs, bench.scratch)
        except CannotRun as reason:
            yield Told(road="P10", what=f"not raced: {reason}")
            return
        least = house.total / UPLINK
    what = f"{CLIPS} clips of 0.5 to 1.5 MB on a stick, uplink 500 kB/s"
    took = [[seen.uploading for _, seen in looks] for looks in (ours, theirs)]
    polls = [[seen.polls / CLIPS for _, seen in looks] for looks in (ours, theirs)]
    told = " / ".join(f"{Spread.of(side).median:.1f}" for side in took) + " s"
    yield Row(
        road="P10",
        what=f"{what}: our time / the uplink's own",
        figure=Spread.of([one / least for one in took[0]]),
        target=1 / 0.85,
        pairs=len(ours),
        took=f"{Spread.of(took[0]).median:.1f} / {least:.1f} s",
        why=WHY,
    )
    yield Row(
        road="P10",
        what=f"{what}: we / blinkpy, one by one",
        figure=Spread.of([one / other for one, other in zip(*took, strict=True)]),
        pairs=len(ours),
        took=told,
    )
    yield Row(
        road="P10",
        what=f"{what}: looks at a command for each clip, we / blinkpy",
        figure=Spread.of([one / other for one, other in zip(*polls, strict=True)]),
        target=1.0,
        pairs=len(ours),
        took=" / ".join(f"{Spread.of(side).median:.1f}" for side in polls),
        why="A look too early costs a request, one too late costs the uplink's time.",
    )
