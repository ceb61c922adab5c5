"""P2 and P3: a cloud on loopback, without delay, so that the processor binds: 500 clips of 1 MB, archived in full.

Rivals: curl bare, which only moves bytes; curl, then a hash of every clip and one flush, which is the least an archive owes;
and blinkpy's `download_videos(delay=0)`, which does not hash, flush or record. curl that keeps nothing shows how fast the
cloud could be served from, and the cloud's own processor time how little of a run is waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.cloud import cloud
from benchmarks.measure import MB, CannotRun, Rival, Spread, take_turns
from benchmarks.ours import blinkarchive
from benchmarks.report import Row, Told

WORLD = "500 x 1 MB, loopback"
WHY = (
    "Of some 2.9 s of processor time 0.6 are Python's start (a fifth of it SQLAlchemy, a fifth aiohttp), 0.7 aiohttp and asyncio "
    "(1.4 ms a clip), 0.6 the SHA-256 of the stream and that of the stored bytes, 0.2 the index, and 0.8 writing, flushing and "
    "naming each clip in the spool and in the sink. curl and openssl need 1.0 for all of theirs. Threads share one interpreter's "
    "lock, so that of two cores 1.3 are at work. An HTTP client of our own would save part of the 0.7, and is not wanted."
)


def measure(bench: Bench) -> Iterator[Row | Told]:
    with cloud(bench.scratch, clips=500, size=MB) as near:
        us, looks = near.watched(blinkarchive(near))
        makers: dict[str, Callable[[], Rival]] = {
            "curl, openssl": lambda: peers.curl_hashed(near),
            "curl": lambda: peers.curl(near),
            "curl, keeping nothing": lambda: peers.curl(near, kept=False),
            "blinkpy": lambda: peers.blinkpy(near),
        }
        rivals: dict[str, Rival] = {}
        for name, maker in makers.items():
            try:
                rivals[name] = maker()
            except CannotRun as reason:
                yield Told(road="P2/P3", what=f"not raced against {name}: {reason}")
        rounds = take_turns([us, *rivals.values()], bench.pairs, bench.scratch)
    for road, other, what, target in (
        ("P2", "curl, openssl", "we / curl with 16, openssl dgst -sha256, sync", 0.9),
        ("P2", "curl", "we / curl with 16, bare", None),
        ("P3", "blinkpy", "we / blinkpy download_videos(delay=0)", 0.6),
    ):
        if other in rivals:
            what = f"{WORLD}: {what}"
            yield Row.of_race(rounds, us.name, rivals[other].name, road=road, what=what, target=target, why=WHY)
    if "curl, keeping nothing" in rivals:
        what = f"{WORLD}: curl with 16, keeping nothing / we: so fast the cloud can be"
        yield Row.of_race(rounds, rivals["curl, keeping nothing"].name, us.name, road="P2", what=what)
    yield Row(
        road="P2",
        what=f"{WORLD}: processor time of the cloud while it serves us / how long that takes",
        figure=Spread.of([look.cpu / ran.wall for ran, look in looks]),
        unit="",
        pairs=len(looks),
        took=f"{Spread.of([look.cpu for _, look in looks]).median:.2f} s",
    )
