"""What the S3 sink promises beyond the contract: what goes over the wire, what it believes, and what it says when things fail."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from blinkarchive import AlreadyThere, BadKey, Content, CopyDiffers, Key, NotFound, Sink, SinkError, SinkFull, SinkUnavailable
from blinkarchive.conformance import MakeContent
from blinkarchive_s3 import open_s3
from blinkarchive_s3.names import PROBE, WRONG_PROBE
from blinkarchive_s3.sink import S3Sink
from blinkarchive_s3.store import MIB, Limits, own_sha256
from tests.sinks.fake_s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN, FakeS3, Fault, Object, Upload, fake_s3

KEY = Key("porch/2026/05/01/porch_20260501T120000Z_0123456789abcdef.mp4")
IN_PARTS = Limits(one_put=2 * MIB, part=MIB, page=3)


@pytest.fixture
async def s3() -> AsyncIterator[FakeS3]:
    async with fake_s3() as fake:
        yield fake


@pytest.fixture
async def sink(s3: FakeS3) -> AsyncIterator[Sink]:
    async with open_s3(s3.options(), IN_PARTS) as sink:
        s3.asked.clear()
        yield sink


async def names(sink: Sink, prefix: str = "") -> list[str]:
    return sorted([stored.key async for stored in sink.list(prefix)])


async def read(sink: Sink, key: Key, start: int = 0) -> bytes:
    async with sink.open(key, start) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


# --- put


async def test_a_put_is_one_request_that_says_all(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    content = make_content(1000)
    await sink.put(KEY, content)
    [asked] = s3.asked
    said = asked.headers
    assert (asked.call, asked.name) == ("PutObject", KEY)
    assert said["If-None-Match"] == "*"
    assert said["x-amz-checksum-sha256"] == base64.b64encode(bytes.fromhex(content.sha256)).decode()
    assert (said["Content-Length"], said["Content-Type"], said["x-amz-meta-sha256"]) == ("1000", "video/mp4", content.sha256)


@pytest.mark.parametrize("size", [1000, 1_900_000])
async def test_the_bytes_are_not_hashed_again(s3: FakeS3, sink: Sink, make_content: MakeContent, size: int) -> None:
    await sink.put(KEY, make_content(size))
    [asked] = s3.asked
    assert asked.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert [name for name in asked.headers if "crc" in name.lower() or "md5" in name.lower()] == []


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("a.mp4", "video/mp4"), ("a.JPG", "image/jpeg"), ("catalog/a.jsonl", "application/x-ndjson"),
        (".blinkarchive-sink", "application/octet-stream"), ("mp4", "video/mp4"),
    ],
)  # fmt: skip
async def test_the_type_is_that_of_the_name(s3: FakeS3, sink: Sink, make_content: MakeContent, key: str, kind: str) -> None:
    await sink.put(Key(key), make_content(10))
    assert s3.asked[0].headers["Content-Type"] == kind


async def test_what_the_owner_wants_of_clips_goes_along(s3: FakeS3, make_content: MakeContent) -> None:
    options = s3.options(
        storage_class="STANDARD_IA",
        server_side_encryption="aws:kms",
        kms_key_id="alias/clips",
        tags={"kind": "clip & more", "of": "blink"},
        object_lock_mode="COMPLIANCE",
        object_lock_days=30,
    )
    async with open_s3(options) as sink:
        await sink.put(KEY, make_content(10))
        said = s3.asked[-1].headers
        await sink.put(Key(".blinkarchive-sink"), make_content(10))
        marker = s3.asked[-1].headers
    assert said["x-amz-storage-class"] == "STANDARD_IA"
    assert said["x-amz-tagging"] == "kind=clip+%26+more&of=blink"
    assert said["x-amz-object-lock-mode"] == "COMPLIANCE"
    until = datetime.fromisoformat(said["x-amz-object-lock-retain-until-date"])
    assert timedelta(days=29, hours=23) < until - datetime.now(UTC) <= timedelta(days=30)
    for each in (said, marker):
        assert each["x-amz-server-side-encryption"] == "aws:kms"
        assert each["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/clips"
    assert "x-amz-storage-class" not in marker, "the marker is read at every start"
    assert "x-amz-object-lock-mode" not in marker


async def test_what_is_there_is_not_overwritten(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    first = make_content(1000)
    await sink.put(KEY, first)
    for other in (make_content(1000), make_content(3 * MIB)):
        with pytest.raises(AlreadyThere):
            await sink.put(KEY, other)
    assert s3.objects[KEY].data == first.path.read_bytes()


async def test_a_put_whose_answer_was_lost_is_there_already(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    for size in (1000, 3 * MIB):
        content, key = make_content(size), Key(f"{size}.mp4")
        s3.faults = {"PutObject": [Fault(kind="lost")], "CompleteMultipartUpload": [Fault(kind="lost")]}
        with pytest.raises(SinkUnavailable):
            await sink.put(key, content)
        with pytest.raises(AlreadyThere):
            await sink.put(key, content)
        assert await read(sink, key) == content.path.read_bytes()


async def test_a_store_that_lies_is_found_out_by_asking_it(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    s3.faults["PutObject"] = [Fault(kind="lie")]
    await sink.put(KEY, make_content(1000))
    assert await sink.stat(KEY) is None


async def test_a_page_for_people_is_no_success(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    s3.always = dict.fromkeys(["PutObject", "HeadObject", "GetObject", "ListObjectsV2"], Fault(kind="page"))
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: sink.put(KEY, make_content(10)),
        lambda: sink.stat(KEY),
        lambda: read(sink, KEY),
        lambda: names(sink),
        lambda: sink.delete(KEY),
    ]
    for call in calls:
        with pytest.raises(SinkUnavailable, match="no S3"):
            await call()


async def test_bytes_that_are_others_than_they_should_be_are_refused(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    for size in (1000, 1_900_000, 3 * MIB):
        content = make_content(size)
        data = bytearray(content.path.read_bytes())
        data[size // 2] ^= 1
        content.path.write_bytes(data)
        with pytest.raises(CopyDiffers):
            await sink.put(KEY, content)
    assert (await names(sink), s3.uploads) == ([], {})


# --- put in parts


async def test_what_is_large_goes_in_parts_and_its_name_comes_last(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    content = make_content(2 * MIB + 5)
    await sink.put(KEY, content)
    assert s3.calls("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload") == [
        "CreateMultipartUpload",
        *["UploadPart"] * 3,
        "CompleteMultipartUpload",
    ]
    data = content.path.read_bytes()
    parts = [asked.headers["x-amz-checksum-sha256"] for asked in s3.asked if asked.call == "UploadPart"]
    wanted = [data[:MIB], data[MIB : 2 * MIB], data[2 * MIB :]]
    assert parts == [base64.b64encode(hashlib.sha256(part).digest()).decode() for part in wanted]
    completion = next(asked for asked in s3.asked if asked.call == "CompleteMultipartUpload")
    assert completion.headers["If-None-Match"] == "*"
    assert s3.objects[KEY].data == data
    assert s3.objects[KEY].headers["x-amz-meta-sha256"] == content.sha256


def test_a_hash_counts_only_where_it_is_one_of_the_whole_object() -> None:
    digest = hashlib.sha256(b"x").digest()
    right = base64.b64encode(digest).decode()
    for found, sha256 in (
        ({"ChecksumSHA256": right, "ChecksumType": "FULL_OBJECT"}, digest.hex()),
        ({"ChecksumSHA256": right}, digest.hex()),
        ({"ChecksumSHA256": right, "ChecksumType": "COMPOSITE"}, None),
        ({"ChecksumSHA256": f"{right}-3"}, None),
        ({"ChecksumSHA256": base64.b64encode(digest[:20]).decode()}, None),
        ({"ChecksumSHA256": digest.hex()}, None),
        ({"ChecksumSHA256": ""}, None),
        ({}, None),
    ):
        assert own_sha256(found) == sha256


async def test_a_hash_of_parts_is_no_hash_of_the_whole(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    content = make_content(3 * MIB)
    await sink.put(KEY, content)
    stored = await sink.stat(KEY)
    assert stored is not None
    assert (stored.size, stored.sha256) == (content.size, None)


@pytest.mark.parametrize("call", ["UploadPart", "CompleteMultipartUpload"])
@pytest.mark.parametrize("kind", ["status", "dropped", "page"])
async def test_parts_of_a_put_that_failed_are_taken_away(
    s3: FakeS3, sink: Sink, make_content: MakeContent, call: str, kind: str
) -> None:
    s3.faults[call] = [Fault(500, "InternalError") if kind == "status" else Fault(kind=kind)]  # type: ignore[arg-type]
    with pytest.raises(SinkUnavailable):
        await sink.put(KEY, make_content(3 * MIB))
    assert s3.uploads == {}
    assert await sink.stat(KEY) is None


async def test_parts_of_a_put_that_was_cancelled_are_taken_away(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    s3.always["UploadPart"] = Fault(kind="hangs")
    put = asyncio.create_task(sink.put(KEY, make_content(5 * MIB)))
    await eventually(lambda: "UploadPart" in s3.calls())
    put.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert time.monotonic() - began < 1
    s3.hang.set()
    await eventually(lambda: s3.uploads == {})
    assert s3.objects.keys() <= {PROBE, WRONG_PROBE}
    assert len(s3.calls("UploadPart")) <= 2, "a put that nobody waits for goes on to its end"


async def test_a_put_that_was_cancelled_while_its_store_was_silent_ends_at_once_and_is_none(
    s3: FakeS3, sink: Sink, make_content: MakeContent
) -> None:
    s3.always["PutObject"] = Fault(kind="hangs")
    put = asyncio.create_task(sink.put(KEY, make_content(1_900_000)))
    await eventually(lambda: "PutObject" in s3.calls())
    put.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert time.monotonic() - began < 1
    s3.hang.set()


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_parts_never_replace_an_object_where_completions_take_no_condition(
    s3: FakeS3, sink: Sink, make_content: MakeContent, when: str
) -> None:
    s3.completes_conditionally = False
    other = Object(b"other", None, {})
    s3.faults["UploadPart"] = [Fault(kind="hangs")]
    if when == "before":
        s3.objects[KEY] = other
    put = asyncio.create_task(sink.put(KEY, make_content(3 * MIB)))
    if when == "meanwhile":
        await eventually(lambda: "UploadPart" in s3.calls())
        s3.objects[KEY] = other
    s3.hang.set()
    with pytest.raises(AlreadyThere):
        await put
    assert (s3.objects[KEY], s3.uploads) == (other, {})


# --- what killed runs left


def left_behind(s3: FakeS3, name: str, hours: float) -> str:
    upload = f"upload-{len(s3.uploads)}"
    s3.uploads[upload] = Upload(name, datetime.now(UTC) - timedelta(hours=hours), {})
    return upload


async def test_uploads_that_killed_runs_left_are_taken_away_and_no_others(s3: FakeS3) -> None:
    ours = [left_behind(s3, f"blink/{number}/{KEY}", 25) for number in range(5)]
    others = [
        left_behind(s3, f"blink/{KEY}", 23),
        left_behind(s3, KEY, 25),
        left_behind(s3, f"other/{KEY}", 25),
        left_behind(s3, "blink/backup.tar", 25),
        left_behind(s3, "blink/0123456789abcdef/backup.tar", 25),
        left_behind(s3, f"blink/backup-{'0' * 40}", 25),
    ]
    assert ours
    async with open_s3(s3.options(prefix="blink")):
        assert set(s3.uploads) == set(others)


async def test_a_store_where_leftovers_cannot_be_looked_after_is_used_and_says_so(s3: FakeS3, make_content: MakeContent) -> None:
    s3.always["ListMultipartUploads"] = Fault(403, "AccessDenied")
    async with open_s3(s3.options()) as sink:
        await sink.put(KEY, make_content(10))
        assert isinstance(sink, S3Sink)
        [note] = sink.notes
    assert "s3:ListBucketMultipartUploads" in note


async def test_a_store_that_keeps_no_list_of_them_is_used_too(s3: FakeS3) -> None:
    s3.always["ListMultipartUploads"] = Fault(404, "NoSuchUpload")
    async with open_s3(s3.options()) as sink:
        assert isinstance(sink, S3Sink)
        assert sink.notes == ()


# --- stat


async def test_the_hash_is_the_one_the_store_has_checked(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    content = make_content(1000)
    await sink.put(KEY, content)
    stored = await sink.stat(KEY)
    assert stored is not None
    assert (stored.size, stored.sha256) == (1000, content.sha256)
    assert s3.asked[-1].headers["x-amz-checksum-mode"] == "ENABLED"


async def test_a_hash_that_was_written_beside_an_object_proves_nothing(s3: FakeS3, sink: Sink) -> None:
    s3.objects[KEY] = Object(b"other bytes", None, {"x-amz-meta-sha256": hashlib.sha256(b"the right bytes").hexdigest()})
    stored = await sink.stat(KEY)
    assert stored is not None
    assert (stored.size, stored.sha256) == (11, None)


async def test_not_there_is_only_what_the_store_says_is_not_there(s3: FakeS3, sink: Sink) -> None:
    assert await sink.stat(KEY) is None
    for told, words in (
        (Fault(403, "AccessDenied"), "allow s3:GetObject and s3:ListBucket"),
        (Fault(404, "NoSuchBucket"), "no such bucket"),
        (Fault(404), "endpoint_url"),
        (Fault(404, "NotFound"), "endpoint_url"),
        (Fault(kind="dropped"), "broke off"),
    ):
        s3.always = {"HeadObject": Fault(404), "GetObject": told}
        with pytest.raises(SinkUnavailable, match=words):
            await sink.stat(KEY)
    for status in (500, 503):
        s3.always = {"HeadObject": Fault(status)}
        with pytest.raises(SinkUnavailable):
            await sink.stat(KEY)
    for status in (400, 403):  # a HEAD has no words, and may mean anything
        s3.always = {"HeadObject": Fault(status), "GetObject": Fault(403, "RequestTimeTooSkewed")}
        with pytest.raises(SinkUnavailable, match="clock"):
            await sink.stat(KEY)


async def test_a_bucket_that_is_gone_is_no_empty_archive(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    s3.bucket_exists = False
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: sink.put(KEY, make_content(10)),
        lambda: sink.put(KEY, make_content(3 * MIB)),
        lambda: sink.stat(KEY),
        lambda: read(sink, KEY),
        lambda: names(sink),
        lambda: sink.delete(KEY),
    ]
    for call in calls:
        with pytest.raises(SinkUnavailable, match="there is no such bucket"):
            await call()


async def test_what_comes_between_two_looks_is_found(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    for size in (0, 10):
        content, key = make_content(size), Key(f"{size}.mp4")
        await sink.put(key, content)
        s3.faults["HeadObject"] = [Fault(404)]
        stored = await sink.stat(key)
        assert stored is not None
        assert stored.sha256 == content.sha256


# --- open


async def test_a_read_is_one_request_and_begins_where_asked(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    content = make_content(1000)
    await sink.put(KEY, content)
    s3.asked.clear()
    assert await read(sink, KEY) == content.path.read_bytes()
    assert await read(sink, KEY, 990) == content.path.read_bytes()[990:]
    assert await read(sink, KEY, 1000) == b""
    assert [asked.headers.get("Range") for asked in s3.asked] == [None, "bytes=990-", "bytes=1000-"]


async def test_an_answer_that_is_cut_is_an_error(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    await sink.put(KEY, make_content(1_900_000))
    for start in (0, 5):
        s3.faults["GetObject"] = [Fault(kind="cut")]
        with pytest.raises(SinkUnavailable):
            await read(sink, KEY, start)


async def test_a_store_that_knows_no_ranges_does_not_pass_off_the_beginning_as_the_end(
    s3: FakeS3, sink: Sink, make_content: MakeContent
) -> None:
    await sink.put(KEY, make_content(1000))
    s3.ranges = False
    with pytest.raises(SinkUnavailable, match="all of it"):
        await read(sink, KEY, 10)


async def test_what_is_frozen_says_that_it_must_be_thawed(s3: FakeS3, sink: Sink) -> None:
    s3.faults["GetObject"] = [Fault(403, "InvalidObjectState")]
    with pytest.raises(SinkError, match="thawed"):
        await read(sink, KEY)


# --- list


async def test_every_page_of_a_listing_is_read(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    keys = [Key(f"a b/{number:02}+é%20&<>.mp4") for number in range(10)]
    for key in keys:
        await sink.put(key, make_content(10))
    for encodes in (True, False):
        s3.encodes = encodes
        s3.asked.clear()
        assert await names(sink) == keys
        assert len(s3.asked) == 4
        assert all(
            one.query.get("continuation-token") != other.query.get("continuation-token") for one, other in pairwise(s3.asked)
        )


@pytest.mark.parametrize(
    "page",
    [
        Fault(500),
        Fault(503, "SlowDown"),
        Fault(403, "AccessDenied"),
        Fault(kind="dropped"),
        Fault(kind="cut"),
        Fault(kind="page"),
    ],
    ids=["500", "503", "403", "dropped", "cut", "page"],
)
async def test_a_listing_never_ends_early(s3: FakeS3, sink: Sink, make_content: MakeContent, page: Fault) -> None:
    for number in range(7):
        await sink.put(Key(f"{number}.mp4"), make_content(10))
    s3.faults["ListObjectsV2"] = [Fault(), page]
    found = []
    with pytest.raises(SinkUnavailable):
        async for stored in sink.list():
            found.append(stored.key)  # some come before the error
    assert found == ["0.mp4", "1.mp4", "2.mp4"]


async def test_a_sink_in_a_folder_sees_nothing_else(s3: FakeS3, make_content: MakeContent) -> None:
    for name in ("blinks/1.mp4", "blin/1.mp4", "blink", "1.mp4"):
        s3.objects[name] = Object(b"other", None, {})
    async with open_s3(s3.options(prefix="blink")) as sink:
        await sink.put(KEY, make_content(10))
        assert await names(sink) == [KEY]
        assert await sink.stat(Key("1.mp4")) is None
    assert f"blink/{KEY}" in s3.objects


async def test_folders_that_consoles_make_and_our_probes_are_not_listed(
    s3: FakeS3, sink: Sink, make_content: MakeContent
) -> None:
    for name in ("porch/", PROBE, WRONG_PROBE, "a//b"):
        s3.objects[name] = Object(b"", None, {})
    await sink.put(KEY, make_content(10))
    assert await names(sink) == [KEY]
    for probe in (PROBE, WRONG_PROBE):
        with pytest.raises(BadKey):
            await sink.put(Key(probe), make_content(10))


# --- delete


async def test_a_delete_of_nothing_says_so_though_the_store_calls_it_a_success(s3: FakeS3, sink: Sink) -> None:
    with pytest.raises(NotFound):
        await sink.delete(KEY)
    assert "DeleteObject" not in s3.calls()


async def test_an_archive_that_only_grows_says_what_it_may_not(s3: FakeS3, make_content: MakeContent) -> None:
    s3.deletes = False
    async with open_s3(s3.options()) as sink:
        await sink.put(KEY, make_content(10))
        with pytest.raises(SinkUnavailable, match="s3:DeleteObject"):
            await sink.delete(KEY)
        assert await names(sink) == [KEY]


# --- errors

ERRORS: dict[str, tuple[int, type[SinkError], str]] = {
    "ConditionalRequestConflict": (409, SinkUnavailable, "patience"),
    "OperationAborted": (409, SinkUnavailable, "patience"),
    "SlowDown": (503, SinkUnavailable, "patience"),
    "ServiceUnavailable": (503, SinkUnavailable, "patience"),
    "InternalError": (500, SinkUnavailable, "patience"),
    "RequestTimeout": (400, SinkUnavailable, "patience"),
    "TooManyRequests": (429, SinkUnavailable, "patience"),
    "AccessDenied": (403, SinkUnavailable, "allow s3:"),
    "InvalidAccessKeyId": (403, SinkUnavailable, "mend access_key_id"),
    "SignatureDoesNotMatch": (403, SinkUnavailable, "secret_access_key is wrong, or a proxy"),
    "ExpiredToken": (400, SinkUnavailable, "have expired"),
    "InvalidToken": (400, SinkUnavailable, "mend session_token"),
    "RequestTimeTooSkewed": (403, SinkUnavailable, "clock of this machine"),
    "NoSuchBucket": (404, SinkUnavailable, "no such bucket"),
    "PermanentRedirect": (301, SinkUnavailable, "another region"),
    "TemporaryRedirect": (307, SinkUnavailable, "another region"),
    "AuthorizationHeaderMalformed": (400, SinkUnavailable, "another region"),
    "QuotaExceeded": (403, SinkFull, "no room"),
    "XMinioStorageFull": (507, SinkFull, "no room"),
    "StorageFull": (507, SinkFull, "no room"),
    "EntityTooLarge": (400, SinkError, "too large"),
    "InvalidRequest": (400, SinkError, "refuses"),
    "KeyTooLongError": (400, BadKey, "no name"),
}


async def test_every_error_at_every_call_is_told_apart_and_tried_once(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    content, large = make_content(10), make_content(3 * MIB)
    s3.objects["there"] = Object(b"x", None, {})
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "PutObject": lambda: sink.put(KEY, content),
        "CreateMultipartUpload": lambda: sink.put(KEY, large),
        "UploadPart": lambda: sink.put(KEY, large),
        "CompleteMultipartUpload": lambda: sink.put(KEY, large),
        "GetObject": lambda: read(sink, KEY),
        "HeadObject": lambda: sink.stat(KEY),
        "ListObjectsV2": lambda: names(sink),
        "DeleteObject": lambda: sink.delete(Key("there")),
    }
    for code, (status, kind, words) in ERRORS.items():
        fault = Fault(status, code, "in their words", headers={"Retry-After": "7"})
        for name, call in calls.items():
            s3.asked.clear()
            s3.always = {name: fault} | ({"GetObject": fault} if name == "HeadObject" else {})
            with pytest.raises(kind) as raised:
                await call()
            told = str(raised.value)
            assert type(raised.value) is kind, (name, code, told)
            assert words in told, (name, code, told)
            assert s3.bucket in told
            if name != "HeadObject" or status < 500:
                assert code in told, (name, code, told)
            assert len(s3.calls(name)) == 1, (name, code)
            if words == "patience" and isinstance(raised.value, SinkUnavailable):
                assert raised.value.retry_after == 7
            assert raised.value.__cause__ is not None
    s3.always = {}
    assert s3.objects.keys() <= {"there", PROBE, WRONG_PROBE}
    assert s3.uploads == {}


async def test_a_wait_is_taken_from_a_date_too(s3: FakeS3, sink: Sink) -> None:
    until = datetime.now(UTC) + timedelta(seconds=30)
    for said, least, most in ((f"{until:%a, %d %b %Y %H:%M:%S GMT}", 25, 31), ("soon", None, None), ("", None, None)):
        s3.faults["ListObjectsV2"] = [Fault(503, "SlowDown", headers={"Retry-After": said})]
        with pytest.raises(SinkUnavailable) as raised:
            await names(sink)
        wait = raised.value.retry_after
        assert wait is None if least is None or most is None else wait is not None and least <= wait <= most


@pytest.mark.parametrize(
    "fault",
    [
        Fault(301, "PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-3"}),
        Fault(400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-3'"),
        Fault(400, "AuthorizationHeaderMalformed", more="<Region>eu-west-3</Region>"),
        Fault(301, headers={"x-amz-bucket-region": "eu-west-3"}),
    ],
    ids=["header", "words", "element", "no words"],
)
async def test_a_wrong_region_is_told_with_the_right_one_and_not_gone_to(s3: FakeS3, fault: Fault) -> None:
    s3.always["PutObject"] = fault
    with pytest.raises(SinkUnavailable, match='region = "eu-west-3"'):
        async with open_s3(s3.options()):
            pass
    assert s3.calls() == ["PutObject"]


async def test_no_secret_is_in_any_message(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    canaries = (ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN)
    talkative = f"you sent {ACCESS_KEY_ID} with {SECRET_ACCESS_KEY} and {SESSION_TOKEN}"
    for code, (status, _, _) in ERRORS.items():
        s3.always = dict.fromkeys(["PutObject", "GetObject", "HeadObject", "ListObjectsV2"], Fault(status, code, talkative))
        for call in (
            lambda: sink.put(KEY, make_content(10)),
            lambda: read(sink, KEY),
            lambda: sink.stat(KEY),
            lambda: names(sink),
        ):
            with pytest.raises(SinkError) as raised:
                await call()
            assert [canary for canary in canaries if canary in str(raised.value) + repr(raised.value)] == []


async def test_a_file_that_cannot_be_read_is_no_fault_of_the_store(s3: FakeS3, sink: Sink, make_content: MakeContent) -> None:
    content = make_content(10)
    gone = Content(path=Path(f"{content.path}-gone"), size=10, sha256=content.sha256)
    with pytest.raises(SinkError, match="cannot be read") as raised:
        await sink.put(KEY, gone)
    assert not isinstance(raised.value, SinkUnavailable)
    assert s3.asked == []


@pytest.mark.parametrize("size", [1000, 3 * MIB])
@pytest.mark.parametrize("more", [-1, 1])
async def test_a_file_of_another_length_is_not_even_offered(
    s3: FakeS3, sink: Sink, make_content: MakeContent, size: int, more: int
) -> None:
    content = make_content(size)
    with pytest.raises(SinkError, match="bytes long"):
        await sink.put(KEY, Content(path=content.path, size=size + more, sha256=content.sha256))
    assert s3.asked == []


@pytest.mark.parametrize("limits", [Limits(), IN_PARTS], ids=["one request", "parts"])
async def test_a_file_that_shrinks_on_its_way_is_no_fault_of_the_store(
    s3: FakeS3, make_content: MakeContent, limits: Limits
) -> None:
    content = make_content(40 * MIB)  # more than a connection holds that nobody reads from
    s3.faults["UploadPart"] = [Fault(kind="hangs")]
    async with open_s3(s3.options(), limits) as sink:
        s3.faults["PutObject"] = [Fault(kind="hangs")]
        s3.asked.clear()
        put = asyncio.create_task(sink.put(KEY, content))
        await eventually(lambda: s3.calls("PutObject", "UploadPart") != [])
        await asyncio.sleep(0.05)
        os.truncate(content.path, 20 * MIB)
        s3.hang.set()
        with pytest.raises(SinkError, match="shorter than it was") as raised:
            await put
        assert not isinstance(raised.value, SinkUnavailable)
        assert await sink.stat(KEY) is None
        assert s3.uploads == {}
