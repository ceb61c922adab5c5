"""Puts files into a bucket as a run does: 16 at once, each checked before it counts.

Arguments: a list of the files, with the SHA-256 that a run knows from fetching each; the address; the bucket.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from blinkarchive import Content, Key, SinkName
from blinkarchive.clock import Clock
from blinkarchive.convert import SecretRef
from blinkarchive.pipeline.lane import Lane
from blinkarchive_s3 import S3Options, open_s3

AT_ONCE = 16


async def main(listed: str, url: str, bucket: str) -> None:
    files = json.loads(Path(listed).read_text())
    contents = [Content(path=Path(path), size=size, sha256=sha256) for path, size, sha256 in files]
    key, secret = (SecretRef(kind="env", at=name, environ=os.environ) for name in ("KEY", "SECRET"))
    options = S3Options(bucket=bucket, endpoint_url=url, access_key_id=key, secret_access_key=secret)
    async with open_s3(options) as sink, asyncio.TaskGroup() as group:
        lane, left = Lane(SinkName("offsite"), sink, clock=Clock(), parallel=AT_ONCE), iter(contents)

        async def work() -> None:
            for content in left:
                await lane.store(Key(content.path.name), content)

        for _ in range(AT_ONCE):
            group.create_task(work())


asyncio.run(main(*sys.argv[1:]))
