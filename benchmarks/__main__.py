"""`python -m benchmarks [P2 P7 …] [--pairs N] [--update]`: run roads, print the table, and after all roads write `RESULTS.md`;
with `--update` what it says of those that were run, and leave the others as they are.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import textwrap
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import PAIRS, Bench
from benchmarks.measure import CannotRun
from benchmarks.report import Kept, Row, Told, page
from benchmarks.roads import (
    catch_up,
    durability,
    lookup,
    loopback,
    memory,
    nothing_new,
    rclone,
    s3,
    sftp,
    slow_cloud,
    stick,
    two_sinks,
)

HERE = Path(__file__).parent
ROADS = {
    "P1": (slow_cloud.measure,),
    "P2": (loopback.measure,),
    "P3": (loopback.measure, slow_cloud.measure_short),
    "P4": (memory.measure,),
    "P5": (durability.measure,),
    "P6": (nothing_new.measure, nothing_new.measure_requests),
    "P7": (lookup.measure,),
    "P8": (sftp.measure,),
    "P9": (s3.measure,),
    "P10": (stick.measure,),
    "P11": (two_sinks.measure,),
    "P12": (rclone.measure,),
    "P13": (catch_up.measure,),
}


CLOUD = (
    "The cloud is `blinkarchive.simulator`, in a process of its own. No sign-in is measured: blinkarchive has signed in\n"
    "  before, curl and blinkpy are given a token, curl the addresses too. blinkpy is unmodified but for its base address."
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure blinkarchive beside other tools.")
    parser.add_argument("roads", nargs="*", default=list(ROADS), metavar="ROAD", help=f"of {', '.join(ROADS)}; all by default")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="how often each race is run")
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many clips the large archive of P6 has")
    parser.add_argument("--files", type=int, default=500, help="how many files P8, P9, P11 and P13 bring")
    parser.add_argument("--scratch", type=Path, default=HERE / ".scratch", help="a folder on the disk to measure")
    parser.add_argument("--results", type=Path, help="where to write the page (RESULTS.md when all roads are run, else nowhere)")
    parser.add_argument("--update", action="store_true", help="put these roads into the page, and leave the others as they are")
    asked = parser.parse_args()
    if unknown := set(asked.roads) - set(ROADS):
        parser.error(f"no such road: {', '.join(sorted(unknown))}")
    results = asked.results or HERE / "RESULTS.md"
    kept = Kept.of(results.read_text(), asked.roads) if asked.update else None
    asked.scratch.mkdir(exist_ok=True)
    rows: list[Row] = []
    told: list[Told] = []
    for road in dict.fromkeys(road for name in asked.roads for road in ROADS[name]):
        scratch = Path(tempfile.mkdtemp(dir=asked.scratch))
        try:
            for one in road(Bench(scratch=scratch, pairs=asked.pairs, most_rows=asked.rows, files=asked.files)):
                if isinstance(one, Row):
                    rows.append(one)
                    print(f"{one.road} {one.what}: {one.figure.median:.2f} {one.unit}", file=sys.stderr)
                else:
                    told.append(one)
        except CannotRun as reason:
            numbers = "/".join(name for name in asked.roads if road in ROADS[name])
            told.append(Told(road=numbers, what=f"not run to its end: {reason}"))
            print(f"{numbers} not run to its end: {reason}", file=sys.stderr)
        finally:
            shutil.rmtree(scratch)
    if kept is None:
        written = page(rows, told, [*_machine(), CLOUD])
    else:
        names = "/".join(name for name in ROADS if name in asked.roads)
        rows = [row for row in rows if row.road in asked.roads]  # of others that are measured with these not all are here
        here = textwrap.fill(f"{names}: {'; '.join(_machine())}", 120, subsequent_indent="  ")
        written = page(rows, told, [here], kept)
    if asked.results or asked.update or set(asked.roads) == set(ROADS):
        results.write_text(written)
    print(written)
    return 0


def _machine() -> list[str]:
    tools = [peers.version("curl", "--version"), peers.version("openssl", "version"), peers.BLINKPY]
    tools += [peers.version(str(Path(sys.executable).with_name("rclone")), "--version"), peers.AWSCLI]
    return [
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, shared by both sides; "
        f"load average at the end {os.getloadavg()[1]:.1f}",
        f"Python {platform.python_version()}; {'; '.join(tool for tool in tools if tool)}",
    ]


if __name__ == "__main__":
    sys.exit(main())
