"""P6: a run with nothing new, over a short and over a long past: it should cost the listing, and nothing that grows.

A cloud of 1,000 clips of the last hours is archived once; then the past is put into the index, and the run is repeated. The cloud
notes what it is asked and when the first request comes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import history
from benchmarks.bench import Bench
from benchmarks.cloud import Cloud, Seen, cloud
from benchmarks.measure import CannotRun, Ran, Rival, Spread, run, take_turns
from benchmarks.ours import check, command, signed_in
from benchmarks.report import Row

LISTED = 1_000
SIZE = 20_000
WHY = (
    "The list is read down and up again, since a clip that is deleted meanwhile pulls others up, past a page's edge: what was "
    "met down must be met up. That is two requests a page, and any page that is read once is one where a clip can slip by "
    "unseen. When the last page is exactly full it is one request more, in all: only an empty page shows that the list ends."
)
SHORT = 10_000
PAGE = 250


def measure(bench: Bench) -> Iterator[Row]:
    long = bench.most_rows
    with cloud(bench.scratch, clips=LISTED, size=SIZE, page_size=PAGE) as near:
        seen: list[tuple[Ran, Seen]] = []
        rivals = [_again(bench.scratch, near, past, seen) for past in (SHORT, long)]
        rounds = take_turns(rivals, bench.pairs, bench.scratch)
    few, many = (rival.name for rival in rivals)
    what = f"nothing new among {LISTED:,} listed: after {long:,} clips / after {SHORT:,}"
    yield Row.of_race(rounds, many, few, road="P6", what=what, target=1.5)
    yield _requests(LISTED, [look for _, look in seen], "4 full pages")
    first = [look.first - ran.began for ran, look in seen if look.first is not None]
    yield Row(road="P6", what="from start to first request", figure=Spread.of(first), unit="s", target=1.0, pairs=len(first))


def measure_requests(bench: Bench) -> Iterator[Row]:
    """As most lists end: with a page that is not full."""
    listed = LISTED - PAGE // 2
    with cloud(bench.scratch, clips=listed, size=SIZE, page_size=PAGE) as near:
        shutil.copytree(signed_in(near), bench.scratch / "state")
        again = command(near, bench.scratch)
        check(near, bench.scratch, run(again))
        looks = []
        for _ in range(bench.pairs):
            near.seen()
            run(again)
            looks.append(near.seen())
    yield _requests(listed, looks, "3 full pages and a half")


def _requests(listed: int, looks: Sequence[Seen], how: str) -> Row:
    return Row(
        road="P6",
        what=f"requests for each listed page, all requests counted: {how}",
        figure=Spread.of([(look.pages + look.others) / -(-listed // PAGE) for look in looks]),
        unit="",
        target=2.0,
        pairs=len(looks),
        why=WHY,
    )


def _again(scratch: Path, near: Cloud, past: int, seen: list[tuple[Ran, Seen]]) -> Rival:
    folder = scratch / f"{past}"
    folder.mkdir()
    shutil.copytree(signed_in(near), folder / "state")
    again = command(near, folder)
    check(near, folder, run(again))
    history.add_past(folder / "state" / "index.sqlite3", past)
    run(again)
    near.seen()

    def nothing_was_new(_: Path, ran: Ran) -> None:
        look = near.seen()
        total = json.loads(ran.said)
        if (total["known"], look.films) != (LISTED, 0):
            raise CannotRun(f"it was no run with nothing new: {total}, {look}")
        seen.append((ran, look))

    return Rival(name=f"after {past:,}", ready=lambda _: again, check=nothing_was_new)
