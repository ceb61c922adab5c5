"""What rclone says is understood, by its words and from a server that refuses; and names hide what they carry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from blinkarchive import BadKey, CopyDiffers, Key, NotFound, SinkError, SinkFull, SinkUnavailable
from blinkarchive.conformance import MakeContent
from blinkarchive_rclone import RcloneOptions, open_rclone
from blinkarchive_rclone.names import draft_name, is_abandoned, is_draft, parts_of, shown, values_in
from blinkarchive_rclone.saying import Refused

WORDS = [
    # What the services say, as rclone hands it on.
    ("googleapi: Error 403: The user's Drive storage quota has been exceeded., storageQuotaExceeded", SinkFull, None),
    ("googleapi: Error 403: User rate limit exceeded., userRateLimitExceeded", SinkUnavailable, None),
    ("googleapi: Error 403: Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'", SinkUnavailable, None),
    ("googleapi: Error 404: File not found: 1xyz., notFound", SinkUnavailable, None),
    ("quotaLimitReached: Insufficient Space Available", SinkFull, None),
    ("path/insufficient_space/", SinkFull, None),
    ("insufficient storage: 507 Insufficient Storage", SinkFull, None),
    ("write /mnt/x: no space left on device", SinkFull, None),
    ("write /mnt/x: disk quota exceeded", SinkFull, None),
    ("too_many_requests/...: try again after 2026-05-01T10:00:00Z (1m30s)", SinkUnavailable, 90.0),
    ("HTTP error 429 (429 Too Many Requests) Retry-After: 17", SinkUnavailable, 17.0),
    ("SlowDown: Please reduce your request rate.", SinkUnavailable, None),
    ("couldn't fetch token: invalid_grant: maybe token expired? - try refreshing", SinkUnavailable, None),
    ("InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records.", SinkUnavailable, None),
    ("Unauthorized: 401 Unauthorized", SinkUnavailable, None),
    ("corrupted on transfer: sizes differ src 10 vs dst 5", CopyDiffers, None),
    ("corrupted on transfer: md5 hashes differ src \"a\" vs dst \"b\"", CopyDiffers, None),
    ("open /x/y: file name too long", BadKey, None),
    ("can't copy - source file is being updated (size changed from 3 to 4)", SinkError, None),
    ("mkdir /x/y: not a directory", SinkError, None),
    ("dial tcp 127.0.0.1:9: connect: connection refused", SinkUnavailable, None),
    ("what no one has ever heard of", SinkUnavailable, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "wait"), WORDS, ids=[text[:40] for text, _, _ in WORDS])
def test_words_have_one_meaning(text: str, kind: type[SinkError], wait: float | None) -> None:
    told = Refused(500, text).told("drive:blink")
    assert type(told) is kind
    assert text in str(told)
    assert getattr(told, "retry_after", None) == wait


def test_a_sign_in_that_ran_out_is_told_with_the_remedy() -> None:
    told = Refused(500, "couldn't fetch token: invalid_grant").told("drive:blink")
    assert "rclone config reconnect drive:" in str(told)


def test_only_rclones_own_word_for_it_means_that_an_object_is_absent() -> None:
    assert type(Refused(404, "object not found").told("x:")) is NotFound
    assert type(Refused(404, "error in ListJSON: directory not found").told("x:")) is NotFound
    assert type(Refused(500, "object not found").told("x:")) is SinkUnavailable
    assert type(Refused(404, "Not Found").told("x:")) is SinkUnavailable


# -- names


@pytest.mark.parametrize(
    ("remote", "seen", "hidden"),
    [
        ("drive:blink", "drive:blink", []),
        ("/mnt/a,b:c", "/mnt/a,b:c", []),
        (":local:/mnt/nas", ":local:/mnt/nas", []),
        (":s3,access_key_id=AKIA,secret_access_key=abc/d:bucket/x", ":s3,…:bucket/x", ["AKIA", "abc/d"]),
        (':webdav,url=\'http://u:p@h:1/\',pass="q,""r":x', ":webdav,…:x", ["http://u:p@h:1/", 'q,""r']),
        ("drive,team_drive=abcd:blink", "drive,…:blink", ["abcd"]),
    ],
)
def test_a_connection_string_is_shown_without_what_it_carries(remote: str, seen: str, hidden: list[str]) -> None:
    assert shown(remote) == seen
    assert list(values_in(remote)) == hidden


def test_a_draft_tells_when_it_was_begun_and_is_no_key() -> None:
    name = draft_name(1_800_000_000.0)
    assert is_draft(name)
    assert not is_abandoned(name, 1_800_000_000.0 + 86_000)
    assert is_abandoned(name, 1_800_000_000.0 + 86_500)
    assert not is_draft(f"{name}x")
    assert not is_abandoned(".blinkarchive-sink", 1e12)
    with pytest.raises(BadKey):
        parts_of(f"a/{name}")


# -- a server that refuses


@dataclass
class Dav:
    """As much of a WebDAV server as rclone needs, with an answer of its own for each upload and each move."""

    stored: dict[str, bytes] = field(default_factory=dict)
    put_status: int = 201
    put_headers: dict[str, str] = field(default_factory=dict)
    keeps: int | None = None
    all_status: int | None = None

    async def handle(self, request: web.Request) -> web.Response:
        path, body = request.path, await request.read()
        if self.all_status is not None:
            return web.Response(status=self.all_status)
        if request.method == "PROPFIND":
            return self.found(path)
        if request.method == "MKCOL":
            return web.Response(status=201)
        if request.method == "PUT":
            if self.put_status == 201:
                self.stored[path] = body[: self.keeps]
            return web.Response(status=self.put_status, headers=self.put_headers)
        if request.method == "MOVE":
            target = "/" + request.headers["Destination"].split("/", 3)[3]
            self.stored[target] = self.stored.pop(path)
            return web.Response(status=201)
        if request.method == "DELETE":
            return web.Response(status=204 if self.stored.pop(path, None) is not None else 404)
        return web.Response(status=405)

    def found(self, path: str) -> web.Response:
        if path in self.stored:
            kind = f"<d:resourcetype/><d:getcontentlength>{len(self.stored[path])}</d:getcontentlength>"
        elif path.endswith("/"):
            kind = "<d:resourcetype><d:collection/></d:resourcetype>"
        else:
            return web.Response(status=404)
        text = (
            f'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:"><d:response><d:href>{path}</d:href><d:propstat>'
            f"<d:prop>{kind}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"
        )
        return web.Response(status=207, text=text, content_type="application/xml")


@asynccontextmanager
async def served(dav: Dav, config: Path) -> AsyncIterator[RcloneOptions]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", dav.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    config.write_text(f"[dav]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:{port}\npacer_min_sleep = 100us\n")
    try:
        yield RcloneOptions(remote="dav:", config=config)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        (507, {}, SinkFull, None),
        (401, {}, SinkUnavailable, None),
        (403, {}, SinkUnavailable, None),
        (500, {}, SinkUnavailable, None),
        (503, {}, SinkUnavailable, None),
    ],
)
async def test_an_upload_that_is_refused_is_told_as_what_it_is(
    tmp_path: Path, make_content: MakeContent, status: int, headers: dict[str, str], kind: type[SinkError], wait: float | None
) -> None:
    dav = Dav()
    async with served(dav, tmp_path / "rclone.conf") as options, open_rclone(options) as sink:
        await sink.put(Key("a/first.mp4"), make_content(1000))
        dav.put_status, dav.put_headers = status, headers
        with pytest.raises(kind) as caught:
            await sink.put(Key("a/second.mp4"), make_content(1000))
        assert type(caught.value) is kind
        assert getattr(caught.value, "retry_after", None) == wait
        assert await sink.stat(Key("a/second.mp4")) is None
    assert list(dav.stored) == ["/a/first.mp4"]


async def test_a_server_that_keeps_less_than_it_was_sent_is_found_out_before_the_name_is_given(
    tmp_path: Path, make_content: MakeContent
) -> None:
    dav = Dav(keeps=999)
    async with served(dav, tmp_path / "rclone.conf") as options, open_rclone(options) as sink:
        with pytest.raises(CopyDiffers):
            await sink.put(Key("a/clip.mp4"), make_content(1000))
    assert "/a/clip.mp4" not in dav.stored


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_server_that_refuses_to_look_is_no_server_without_the_object(
    tmp_path: Path, make_content: MakeContent, status: int
) -> None:
    dav = Dav()
    async with served(dav, tmp_path / "rclone.conf") as options, open_rclone(options) as sink:
        await sink.put(Key("clip.mp4"), make_content(10))
        dav.all_status = status
        with pytest.raises(SinkUnavailable):
            await sink.stat(Key("clip.mp4"))
        with pytest.raises(SinkUnavailable):
            await sink.stat(Key("nothing"))
