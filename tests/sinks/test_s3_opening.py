"""How an S3 sink is opened: what its options mean, what it finds out about the store, and where credentials come from."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import trustme

from blinkarchive import AlreadyThere, ConfigError, Key, Sink, SinkError, SinkUnavailable
from blinkarchive.conformance import MakeContent
from blinkarchive.convert import Place, Problems, SecretRef, build
from blinkarchive.registry import Registry
from blinkarchive_s3 import S3Options, open_s3
from blinkarchive_s3.names import PROBE
from blinkarchive_s3.sink import S3Sink
from tests.seaweed import secret
from tests.sinks.fake_s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Fault, fake_s3

KEY = Key("porch/clip_0123456789abcdef.mp4")
RCLONE = Path(sys.executable).with_name("rclone")
PAGE = Path(__file__).parents[2] / "docs" / "s3.md"


def notes(sink: Sink) -> tuple[str, ...]:
    assert isinstance(sink, S3Sink)
    return sink.notes


# --- what the probe finds out


async def test_a_store_is_asked_once_in_a_process_and_nothing_stays_there() -> None:
    async with fake_s3() as s3:
        async with open_s3(s3.options()) as sink:
            assert notes(sink) == ()
        assert s3.calls("PutObject", "HeadObject", "DeleteObject") == [
            "PutObject",
            "PutObject",
            "HeadObject",
            "PutObject",
            "DeleteObject",
        ]
        assert s3.objects == {}
        s3.asked.clear()
        async with open_s3(s3.options()):
            assert s3.asked == []
        async with open_s3(s3.options(prefix="elsewhere")):
            assert "PutObject" in s3.calls(), "rights may differ from folder to folder"


async def test_a_store_that_ignores_conditions_is_looked_at_before_each_put(make_content: MakeContent) -> None:
    async with fake_s3(conditions="ignored") as s3, open_s3(s3.options()) as sink:
        [note] = notes(sink)
        assert "no conditional puts" in note
        first = make_content(1000)
        await sink.put(KEY, first)
        with pytest.raises(AlreadyThere):
            await sink.put(KEY, make_content(1000))
        assert s3.objects[KEY].data == first.path.read_bytes()


async def test_where_conditions_are_ignored_puts_of_one_process_still_do_not_overwrite(make_content: MakeContent) -> None:
    async with fake_s3(conditions="ignored") as s3, open_s3(s3.options()) as sink, open_s3(s3.options()) as other:
        contents = [make_content(1000 + number) for number in range(8)]
        ended = await asyncio.gather(
            *((sink, other)[number % 2].put(KEY, content) for number, content in enumerate(contents)), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in ended) == ["AlreadyThere"] * 7 + ["NoneType"]
        winner = contents[[one is None for one in ended].index(True)]
        assert s3.objects[KEY].data == winner.path.read_bytes()


async def test_a_store_that_takes_no_conditions_gets_none(make_content: MakeContent) -> None:
    async with fake_s3(conditions="refused") as s3, open_s3(s3.options()) as sink:
        s3.asked.clear()
        await sink.put(KEY, make_content(1000))
        with pytest.raises(AlreadyThere):
            await sink.put(KEY, make_content(1000))
        assert all("If-None-Match" not in asked.headers for asked in s3.asked)


@pytest.mark.parametrize("checksums", ["ignored", "echoed", "refused"])
async def test_a_store_that_does_not_check_hashes_is_not_believed(make_content: MakeContent, checksums: str) -> None:
    async with fake_s3(checksums=checksums) as s3, open_s3(s3.options()) as sink:
        [note] = notes(sink)
        assert "read back" in note
        await sink.put(KEY, make_content(1000))
        stored = await sink.stat(KEY)
        assert stored is not None
        assert (stored.size, stored.sha256) == (1000, None)


async def test_a_store_that_can_neither_is_used_all_the_same(make_content: MakeContent) -> None:
    async with fake_s3(conditions="refused", checksums="refused") as s3, open_s3(s3.options()) as sink:
        assert len(notes(sink)) == 2
        await sink.put(KEY, make_content(1000))
        said = s3.asked[-1].headers
        assert [name for name in said if "checksum" in name.lower() or "trailer" in name.lower()] == []
        assert said.get("Content-Encoding") is None
        with pytest.raises(AlreadyThere):
            await sink.put(KEY, make_content(1000))


async def test_a_real_store_that_ignores_conditions_and_hashes_is_used_safely(tmp_path: Path, make_content: MakeContent) -> None:
    (tmp_path / "clips").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    key, hidden = "AKIDOFRCLONE00000001", "of-rclone-1234567890"
    argv = [
        str(RCLONE),
        "serve",
        "s3",
        "--config",
        "/dev/null",
        "--addr",
        address,
        "--auth-key",
        f"{key},{hidden}",
        str(tmp_path),
    ]
    server = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.DEVNULL)
    try:
        await _listens(address)
        options = S3Options(
            bucket="clips", endpoint_url=f"http://{address}", access_key_id=secret(key), secret_access_key=secret(hidden)
        )
        async with open_s3(options) as sink:
            assert len(notes(sink)) == 2
            content = make_content(300_000)
            await sink.put(KEY, content)
            with pytest.raises(AlreadyThere):
                await sink.put(KEY, make_content(300_000))
            stored = await sink.stat(KEY)
            assert stored is not None
            assert (stored.size, stored.sha256) == (300_000, None)
            async with sink.open(KEY, 100) as chunks:
                assert b"".join([chunk async for chunk in chunks]) == content.path.read_bytes()[100:]
            assert [one.key async for one in sink.list()] == [KEY]
            await sink.delete(KEY)
            assert await sink.stat(KEY) is None
    finally:
        server.kill()
        await server.wait()


async def _listens(address: str) -> None:
    host, port = address.split(":")
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                await writer.wait_closed()
                return


async def test_where_nothing_may_be_deleted_one_small_object_stays_however_many_processes_look() -> None:
    async with fake_s3(deletes=False) as s3:
        for _ in range(3):
            async with open_s3(s3.options(), known={}) as sink:
                assert notes(sink) == ()
                assert [stored async for stored in sink.list()] == []
            assert set(s3.objects) == {PROBE}


async def test_in_a_bucket_with_versions_the_probe_stays_too_as_each_deletion_would() -> None:
    async with fake_s3(versions=True) as s3:
        for _ in range(2):
            async with open_s3(s3.options(), known={}) as sink:
                assert notes(sink) == ()
        assert "DeleteObject" not in s3.calls()
        assert set(s3.objects) == {PROBE}


async def test_a_probe_that_another_process_takes_away_meanwhile_is_put_again() -> None:
    async with fake_s3() as s3:
        s3.faults["HeadObject"] = [Fault(404)]
        s3.faults["GetObject"] = [Fault(404, "NoSuchKey")]
        async with open_s3(s3.options()) as sink:
            assert notes(sink) == ()


async def test_a_store_that_keeps_nothing_cannot_be_opened() -> None:
    async with fake_s3() as s3:
        s3.always["PutObject"] = Fault(kind="lie")
        with pytest.raises(SinkUnavailable, match="does not have what it was given"):
            async with open_s3(s3.options()):
                pass


async def test_what_is_wrong_is_told_when_it_is_opened_and_looked_at_anew_the_next_time() -> None:
    async with fake_s3() as s3:
        for fault, words in (
            (Fault(403, "AccessDenied"), "allow s3:PutObject"),
            (Fault(404, "NoSuchBucket"), "create it"),
            (Fault(403, "RequestTimeTooSkewed"), "clock"),
            (Fault(503, "SlowDown"), "patience"),
        ):
            s3.always["PutObject"] = fault
            with pytest.raises(SinkUnavailable, match=words):
                async with open_s3(s3.options()):
                    pass
        s3.always.clear()
        async with open_s3(s3.options()) as sink:
            assert notes(sink) == ()


async def test_the_probe_is_encrypted_as_clips_are_but_never_locked() -> None:
    async with fake_s3() as s3:
        options = s3.options(server_side_encryption="AES256", object_lock_mode="COMPLIANCE", object_lock_days=9)
        async with open_s3(options):
            puts = [asked.headers for asked in s3.asked if asked.call == "PutObject"]
        assert all(said["x-amz-server-side-encryption"] == "AES256" for said in puts)
        assert all("x-amz-object-lock-mode" not in said for said in puts)


# --- the network


@pytest.mark.parametrize(
    "url", ["http://s3.example.org", "http://10.0.0.1:9000", "http://localhost.example.org", "http://0.0.0.0"]
)
async def test_plain_http_is_for_this_machine_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="https"):
        S3Options(bucket="clips", endpoint_url=url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
    with pytest.raises(ConfigError, match="https"):
        async with open_s3(S3Options(bucket="clips", region="us-east-1")):
            pass


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost", "https://s3.example.org/path"])
def test_addresses_that_are_fine(url: str) -> None:
    S3Options(bucket="clips", endpoint_url=url)


@pytest.mark.parametrize(
    "url",
    ["s3.example.org", "ftp://s3.example.org", "https://", "https://[::1", "https://x:y", "https://x/?a=b", "https://x:99999"],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="address"):
        S3Options(bucket="clips", endpoint_url=url)


def test_an_address_holds_no_password_and_none_is_shown() -> None:
    with pytest.raises(ConfigError, match="access_key_id") as raised:
        S3Options(bucket="clips", endpoint_url="https://me:hunter2hunter2@s3.example.org")
    assert "hunter2" not in str(raised.value)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with fake_s3() as s3, open_s3(s3.options()) as sink:
        assert await sink.stat(KEY) is None


async def test_a_certificate_is_always_checked_and_one_of_the_stores_own_can_be_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    async with fake_s3(ssl_context=server) as s3:
        with pytest.raises(SinkUnavailable, match="ca_file"):
            async with open_s3(s3.options()):
                pass
        assert s3.asked == []
        async with open_s3(s3.options(ca_file=tmp_path / "ca.pem")) as sink:
            assert await sink.stat(KEY) is None


async def test_a_store_that_is_not_there_is_unavailable() -> None:
    async with fake_s3() as s3:
        options = s3.options()
    with pytest.raises(SinkUnavailable, match="cannot be reached"):
        async with open_s3(options):
            pass


# --- credentials


async def test_without_credentials_in_the_config_boto3s_own_are_used(
    monkeypatch: pytest.MonkeyPatch, clean_environment: Path
) -> None:
    (clean_environment / ".aws").mkdir()
    (clean_environment / ".aws/credentials").write_text(
        f"[clips]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    )
    async with fake_s3() as s3:
        none = {"access_key_id": None, "secret_access_key": None, "session_token": None}
        async with open_s3(s3.options(**none, profile="clips")) as sink:
            assert await sink.stat(KEY) is None
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        async with open_s3(s3.options(**none)) as sink:
            assert await sink.stat(KEY) is None


async def test_no_credentials_at_all_are_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with fake_s3() as s3:
        with pytest.raises(SinkUnavailable, match="there are no credentials"):
            async with open_s3(s3.options(access_key_id=None, secret_access_key=None, session_token=None)):
                pass


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"access_key_id": SecretRef(kind="env", at="NO_SUCH_VARIABLE")}, "access_key_id: environment variable NO_SUCH_VARIABLE"),
        ({"access_key_id": None, "secret_access_key": None, "session_token": None, "profile": "nobody"}, "nobody"),
        ({"ca_file": Path("/nonexistent/ca.pem")}, "ca.pem"),
    ],
    ids=["empty variable", "no such profile", "no such file"],
)
async def test_what_the_options_lead_to_must_be_there(more: Mapping[str, Any], words: str) -> None:
    async with fake_s3() as s3:
        with pytest.raises((ConfigError, SinkError), match=words):
            async with open_s3(s3.options(**more)):
                pass


# --- options


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"bucket": "a/b"}, "no name of a bucket"),
        ({"bucket": ""}, "no name of a bucket"),
        ({"bucket": "clips", "prefix": "/blink"}, "prefix"),
        ({"bucket": "clips", "prefix": "a/../b"}, "prefix"),
        ({"bucket": "clips", "prefix": "a//"}, "prefix"),
        ({"bucket": "clips", "access_key_id": "A"}, "secret_access_key"),
        ({"bucket": "clips", "session_token": "A"}, "session_token"),
        ({"bucket": "clips", "access_key_id": "A", "secret_access_key": "B", "profile": "C"}, "profile"),
        ({"bucket": "clips", "kms_key_id": "A"}, "server_side_encryption"),
        ({"bucket": "clips", "server_side_encryption": "aws:c"}, "aws:kms"),
        ({"bucket": "clips", "storage_class": "GLACIER"}, "GLACIER_IR"),
        ({"bucket": "clips", "object_lock_mode": "COMPLIANCE"}, "object_lock_days"),
        ({"bucket": "clips", "object_lock_mode": "COMPLIANCE", "object_lock_days": 0}, "object_lock_days"),
        ({"bucket": "clips", "tags": {str(number): "x" for number in range(11)}}, "10 at most"),
        ({"bucket": "clips", "verify": False}, "no such key"),
        ({"bucket": "clips", "endpoint_url": "http://10.0.0.1"}, "https"),
    ],
)
def test_options_that_make_no_sense_are_told_in_words(raw: dict[str, object], words: str) -> None:
    problems = Problems()
    build(S3Options, raw, Place(table="sink.offsite"), problems)
    with pytest.raises(ConfigError, match=re.escape(words)):
        problems.check()


def test_all_options_may_be_written_in_a_config(tmp_path: Path) -> None:
    raw = {
        "bucket": "clips", "prefix": "blink", "endpoint_url": "https://s3.example.org", "region": "eu-central-1",
        "access_key_id": {"env": "ID"}, "secret_access_key": {"file": "secret"}, "session_token": {"env": "TOKEN"},
        "storage_class": "STANDARD_IA", "server_side_encryption": "aws:kms", "kms_key_id": "k", "tags": {"a": "b"},
        "object_lock_mode": "GOVERNANCE", "object_lock_days": 30, "path_style": True, "ca_file": "ca.pem",
    }  # fmt: skip
    problems = Problems()
    made = build(S3Options, raw, Place(file=tmp_path / "x.toml", table="sink.offsite"), problems)
    problems.check()
    assert made is not None
    assert (made.folder, made.ca_file, dict(made.tags)) == ("blink/", tmp_path / "ca.pem", {"a": "b"})


def test_the_page_tells_every_option_with_its_default_and_no_other() -> None:
    [info] = [one for one in Registry.load({"s3"}).plugins() if one.name == "s3"]
    assert info.failure == ""
    assert all(option.help for option in info.options)
    _, _, table = PAGE.read_text().partition("| key | type | default | what it does |\n| --- | --- | --- | --- |\n")
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.partition("\n\n")[0].splitlines()]
    defaults = {option.name: "must be given" if option.required else option.default.strip('"') for option in info.options}
    told = {key.strip("` "): default.strip("` ").replace("none", "") for key, _, default, _ in rows}
    assert told == {name: "" if default == "{}" else default for name, default in defaults.items()}
    assert [row[0].strip("` ") for row in rows] == [one.name for one in fields(S3Options)]


# --- boto3


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_boto3_is_imported_when_a_sink_is_opened_and_not_before() -> None:
    code = "import sys, blinkarchive_s3; print(sorted({'boto3', 'botocore', 'urllib3'} & set(sys.modules)))"
    assert python(code) == "[]"


def test_a_missing_boto3_is_told_with_what_to_install() -> None:
    code = """
import asyncio, sys
sys.modules["boto3"] = None
from blinkarchive import ConfigError
from blinkarchive_s3 import S3Options, open_s3

async def main():
    try:
        async with open_s3(S3Options(bucket="clips")):
            pass
    except ConfigError as error:
        print(error)

asyncio.run(main())
"""
    assert 'pip install "blinkarchive[s3]"' in python(code)
