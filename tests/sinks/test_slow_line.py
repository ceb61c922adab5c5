"""A home's uplink is slow, and every clip gets through it: what counts is that bytes go on leaving, not how long that takes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from blinkarchive import Content, Key, Sink, SinkName, SinkUnavailable
from blinkarchive.clock import ManualClock
from blinkarchive.pipeline.lane import Lane
from blinkarchive_rclone import RcloneOptions, open_rclone
from blinkarchive_rclone import sink as rclone_sink
from blinkarchive_s3 import S3Options, body, client, open_s3
from blinkarchive_s3.sink import THREADS
from blinkarchive_sftp import open_sftp
from tests.pipeline.fakes import MemorySink
from tests.seaweed import Seaweed
from tests.sinks.rclone_servers import PASSWORD, USER, obscured, serving
from tests.sinks.slow_line import slow_line
from tests.sshd import Sshd

LINES = [0.5, 1, 2, 4]
"""Mbit/s."""
CLIPS = 16
SECONDS = 3.0
"""How long the line needs for all of it. A put that is under way with 15 others takes as long."""
DEADLINE = 1.5
"""Seconds of silence that are too many."""

Open = Callable[[], AbstractAsyncContextManager[Sink]]


@asynccontextmanager
async def to_s3(seaweed: Seaweed, bucket: str, megabits: float) -> AsyncIterator[tuple[Open, Callable[[], int]]]:
    with slow_line(urlsplit(seaweed.url).port or 0, megabits) as line:
        options = S3Options(bucket=bucket, prefix=uuid.uuid4().hex, endpoint_url=f"http://127.0.0.1:{line.port}", **seaweed.keys)
        yield partial(open_s3, options), lambda: line.sent


@asynccontextmanager
async def to_sftp(sshd: Sshd, folder: Path, megabits: float) -> AsyncIterator[tuple[Open, Callable[[], int]]]:
    with slow_line(sshd.port, megabits) as line:
        options = sshd.options(folder, port=line.port, host_key=sshd.host_key.get_fingerprint())
        yield partial(open_sftp, options), lambda: line.sent


@asynccontextmanager
async def to_webdav(folder: Path, megabits: float) -> AsyncIterator[tuple[Open, Callable[[], int]]]:
    (folder / "served").mkdir()
    flags = (f"--user={USER}", f"--pass={PASSWORD}", "--vfs-cache-mode=full", "--vfs-write-back=0s")
    with serving("webdav", folder / "served", *flags) as server, slow_line(server.port, megabits) as line:
        config = folder / "rclone.conf"
        config.write_text(
            f"[dav]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:{line.port}\nuser = {USER}\n"
            f"pass = {obscured(PASSWORD)}\npacer_min_sleep = 100us\n"
        )
        yield partial(open_rclone, RcloneOptions(remote="dav:", config=config, transfers=CLIPS)), lambda: line.sent


def content_of(folder: Path, number: int, size: int) -> Content:
    data = os.urandom(size)
    path = folder / f"{number}.mp4"
    path.write_bytes(data)
    return Content(path=path, size=size, sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("megabits", LINES)
@pytest.mark.parametrize("kind", ["s3", "sftp", "rclone"])
async def test_everything_arrives_over_a_slow_line(
    kind: str, megabits: float, seaweed: Seaweed, bucket: str, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rclone_sink, "_PROGRESS_EVERY", 0.2)
    there = {
        "s3": partial(to_s3, seaweed, bucket, megabits),
        "sftp": partial(to_sftp, sshd, tmp_path / "clips", megabits),
        "rclone": partial(to_webdav, tmp_path, megabits),
    }[kind]
    size = int(megabits * 125_000 * SECONDS / CLIPS)
    contents = [content_of(tmp_path, number, size) for number in range(CLIPS)]
    async with there() as (opened, sent), opened() as sink:
        lane = Lane(SinkName("away"), sink, clock=ManualClock(), deadline=DEADLINE)
        before, began = sent(), time.monotonic()
        keys = await asyncio.gather(*(lane.store(Key(one.path.name), one) for one in contents))
        took = time.monotonic() - began
        assert keys == [one.path.name for one in contents]
        assert sent() - before < CLIPS * (1.3 * size + 8000), "nothing is sent twice"
        assert took > SECONDS, "the line was as slow as it should be"


async def test_a_put_of_which_nothing_is_heard_is_given_up_and_one_that_goes_on_is_not(tmp_path: Path) -> None:
    content = content_of(tmp_path, 1, 100)

    class Slow(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            for _ in range(10):
                await asyncio.sleep(0.05)
                content.progress(0)
            await super().put(key, content)

    class Hangs(MemorySink):
        async def put(self, key: Key, content: Content) -> None:
            content.progress(0)
            await asyncio.sleep(60)

    def lane(sink: Sink) -> Lane:
        return Lane(SinkName("nas"), sink, clock=ManualClock(), deadline=0.2)

    assert await lane(Slow()).store(Key("a.mp4"), content) == "a.mp4"
    with pytest.raises(SinkUnavailable, match="no answer in time"):
        await lane(Hangs()).store(Key("a.mp4"), content)


@pytest.mark.parametrize("kind", ["s3", "sftp"])
async def test_a_sink_reports_each_byte_that_it_reads_as_progress(
    kind: str, seaweed: Seaweed, bucket: str, sshd: Sshd, tmp_path: Path
) -> None:
    there = {"s3": partial(to_s3, seaweed, bucket, 1000), "sftp": partial(to_sftp, sshd, tmp_path / "clips", 1000)}[kind]
    came: list[int] = []
    content = replace(content_of(tmp_path, 1, 1_000_000), watch=came.append)
    async with there() as (opened, _sent), opened() as sink:
        await sink.put(Key("a.mp4"), content)
    assert sum(came) == content.size
    assert max(came) <= 256 * 1024


async def test_a_sink_whose_program_reads_reports_that_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rclone_sink, "_PROGRESS_EVERY", 0.2)
    came: list[int] = []
    content = replace(content_of(tmp_path, 1, 1_000_000), watch=came.append)
    async with to_webdav(tmp_path, 4) as (opened, _sent), opened() as sink:
        await sink.put(Key("a.mp4"), content)
    assert came
    assert set(came) == {0}


def test_the_slowest_line_has_time_for_each_piece_that_boto3_sends() -> None:
    """boto3 allows each send as long as making a connection: 16 puts share 0.5 Mbit/s, and each gets a sixteenth of it."""
    assert 2 * THREADS * body.PIECE / 62_500 < client.SENDING


@pytest.mark.parametrize("kind", ["s3", "sftp", "rclone"])
async def test_an_upload_limit_holds_for_all_puts_of_a_sink_together(
    kind: str, seaweed: Seaweed, bucket: str, sshd: Sshd, tmp_path: Path
) -> None:
    there = {
        "s3": partial(to_s3, seaweed, bucket, 1000),
        "sftp": partial(to_sftp, sshd, tmp_path / "clips", 1000),
        "rclone": partial(to_webdav, tmp_path, 1000),
    }[kind]
    contents = [content_of(tmp_path, number, 100_000) for number in range(4)]
    async with there() as (opened, _sent):
        lane = Lane(SinkName("away"), None, clock=ManualClock(), upload_limit=200_000)
        async with lane._entered(opened, _nothing):
            began = time.monotonic()
            await asyncio.gather(*(lane.store(Key(one.path.name), one) for one in contents))
            assert 1.5 < time.monotonic() - began < 6


async def _nothing() -> None:
    """There is nothing to prove."""
