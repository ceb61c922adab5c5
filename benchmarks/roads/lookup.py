"""P7: ten thousand ids, half of them known, looked up in an archive of a million clips: which are lacking?

Rivals: a text file of ids read into a set, as yt-dlp does; a table asked once an id, as gallery-dl does. Our index is asked for a
page of a listing at a time, through the call that a run makes. Each is a process of its own and tells the seconds from closed
file to last answer; starting Python and importing libraries is not in them.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import history
from benchmarks.bench import Bench
from benchmarks.measure import CannotRun, Command, Ran, Rival, Spread, take_turns
from benchmarks.report import Row

PEERS = Path(__file__).parent.parent / "peers"
ROOT = PEERS.parent.parent
ARCHIVED = 1_000_000
ASKED = 10_000
WHY = (
    "A page of 500 ids is one query of 0.5 ms to 1.3 ms in SQLite's own code (two B-trees: is it known, and does a sink lack "
    "it); as much again are Python's records of the clips that are new, SQLAlchemy and the thread, which a bare SELECT lacks."
)


def measure(bench: Bench) -> Iterator[Row]:
    ours, text, table = bench.scratch / "index.sqlite3", bench.scratch / "archive.txt", bench.scratch / "archive.sqlite3"
    history.add_past(ours, ARCHIVED)
    _write_text(text)
    _write_table(table)
    newest = range(ARCHIVED - ASKED // 2, ARCHIVED)
    scattered = sorted(random.Random(1).sample(range(ARCHIVED), ASKED // 2))
    for kind, known in (("the newest", newest), ("scattered", scattered)):
        wanted = bench.scratch / f"{kind}.txt"
        wanted.write_text("\n".join(f"{history.id_of(number)}\n{history.id_of_no_clip(number)}" for number in known))
        rivals = [
            _rival("index", "our_index.py", ours, wanted),
            _rival("set", "text_archive.py", text, wanted),
            _rival("select", "select_each.py", table, wanted),
        ]
        rounds = take_turns(rivals, bench.pairs, bench.scratch)
        for other, what, target in (("set", "a text archive read into a set", 0.2), ("select", "one SELECT an id", 1.0)):
            ratios = [_seconds(a) / _seconds(b) for a, b in zip(rounds["index"], rounds[other], strict=True)]
            yield Row(
                road="P7",
                what=f"10,000 ids ({kind}, half of them new) at 1,000,000: our index / {what}",
                figure=Spread.of(ratios),
                target=target,
                pairs=len(ratios),
                took=f"{_median_ms(rounds['index'])} / {_median_ms(rounds[other])} ms",
                why=WHY,
            )


def _rival(name: str, script: str, archive: Path, wanted: Path) -> Rival:
    command = Command(argv=[sys.executable, PEERS / script, archive, wanted], env={"PYTHONPATH": str(ROOT)})
    return Rival(name=name, ready=lambda _: command, check=_half_is_new)


def _half_is_new(_: Path, ran: Ran) -> None:
    if int(ran.said.split()[1]) != ASKED // 2:
        raise CannotRun(f"a wrong answer: {ran.said}")


def _seconds(ran: Ran) -> float:
    return float(ran.said.split()[0])


def _median_ms(rans: Sequence[Ran]) -> str:
    return f"{Spread.of([_seconds(ran) for ran in rans]).median * 1000:.0f}"


def _write_text(path: Path) -> None:
    with path.open("w") as lines:
        lines.writelines(f"{history.id_of(number)}\n" for number in range(ARCHIVED))


def _write_table(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE archive (entry TEXT PRIMARY KEY) WITHOUT ROWID")
        connection.executemany("INSERT INTO archive VALUES (?)", ((history.id_of(number),) for number in range(ARCHIVED)))
