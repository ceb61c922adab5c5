"""P6: a run with nothing new, over a short and over a long past: it should cost the listing, and nothing that grows.

A cloud of 1,000 clips of the last hours is archived once; then the past is put into the index, and the run is repeated. The cloud
notes what it is asked and when the first request comes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks import history
from benchmarks.bench import Bench
from benchmarks.cloud import Cloud, Seen, cloud
from benchmarks.measure import CannotRun, Ran, Rival, Spread, ratio, run, take_turns
from benchmarks.ours import check, command, signed_in
from benchmarks.report import Row

LISTED = 1_000
SIZE = 20_000
SHORT = 10_000


def measure(bench: Bench) -> Iterator[Row]:
    long = bench.most_rows
    with cloud(bench.scratch, clips=LISTED, size=SIZE, page_size=250) as near:
        seen: list[tuple[Ran, Seen]] = []
        rivals = [_again(bench.scratch, near, past, seen) for past in (SHORT, long)]
        rounds = take_turns(rivals, bench.rounds(7), bench.scratch)
    few, many = (rival.name for rival in rivals)
    yield Row(
        road="P6",
        what=f"nothing new among {LISTED:,} listed: after {long:,} clips / after {SHORT:,}",
        figure=ratio(rounds, many, few),
        target=1.5,
        detail=bench.detail(rounds, many, few),
    )
    yield Row(
        road="P6",
        what="requests for each listed page, all requests counted",
        figure=Spread.of([(look.pages + look.others) / (LISTED / 250) for _, look in seen]),
        unit="",
        target=2.0,
        detail=f"{seen[-1][1].pages} for the list, {seen[-1][1].others} others",
    )
    yield Row(
        road="P6",
        what="from start to first request",
        figure=Spread.of([look.first - ran.began for ran, look in seen if look.first is not None]),
        unit="s",
        target=1.0,
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
