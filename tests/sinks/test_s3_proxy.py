"""An S3 store behind a reverse proxy: what the proxy does wrong is reported as that."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from blinkarchive import Key, SinkError, SinkUnavailable
from blinkarchive.conformance import MakeContent
from blinkarchive_s3 import S3Options, open_s3
from blinkarchive_s3.proxies import USUAL_SIZE
from blinkarchive_s3.sink import S3Sink
from tests.seaweed import Seaweed, secret
from tests.sinks.fake_s3 import Fault, fake_s3
from tests.sinks.proxy import Proxy

KEY = Key("porch/clip_0123456789abcdef.mp4")
MB = 1_000_000


@pytest.fixture
async def proxy(seaweed: Seaweed) -> AsyncIterator[Proxy]:
    async with Proxy(seaweed.url).serving() as proxy:
        yield proxy


@pytest.fixture
def options(seaweed: Seaweed, bucket: str, proxy: Proxy) -> S3Options:
    return S3Options(bucket=bucket, prefix=f"{uuid.uuid4().hex}/", endpoint_url=proxy.url, **seaweed.keys)


async def refusal(options: S3Options) -> str:
    with pytest.raises(SinkUnavailable) as refused:
        async with open_s3(options, known={}):
            pass
    return str(refused.value)


async def test_a_proxy_that_passes_on_all_as_it_is_is_no_trouble(
    seaweed: Seaweed, options: S3Options, proxy: Proxy, make_content: MakeContent
) -> None:
    async with open_s3(options, known={}) as sink:
        assert isinstance(sink, S3Sink)
        assert sink.notes == ()
        assert proxy.passed < USUAL_SIZE / 8, "the size is announced alone"
        assert not seaweed.client().list_objects_v2(Bucket=options.bucket, Prefix=options.prefix)["KeyCount"], "nothing is left"
        await sink.put(KEY, make_content(3 * MB))
        assert [stored.key async for stored in sink.list()] == [KEY]


async def test_a_changed_host_header_is_told_apart_from_a_wrong_secret(options: S3Options, proxy: Proxy) -> None:
    proxy.host = "127.0.0.1:8333"
    said = await refusal(options)
    assert "a proxy in front of the store changes the Host header, which is signed; the access key is right" in said
    assert "proxy_set_header Host $http_host" in said


@pytest.mark.parametrize("host", [None, "127.0.0.1:8333"])
async def test_a_wrong_secret_is_not_blamed_on_a_proxy_alone(seaweed: Seaweed, proxy: Proxy, host: str | None) -> None:
    proxy.host = host
    keys = {**seaweed.keys, "secret_access_key": secret("a wrong secret of an access key")}
    said = await refusal(S3Options(bucket="clips", endpoint_url=proxy.url, **keys))
    assert "Either secret_access_key is wrong, or a proxy" in said
    assert "the access key is right" not in said


async def test_a_limit_of_a_proxy_is_found_when_the_sink_is_opened_and_told_for_each_clip(
    options: S3Options, proxy: Proxy, make_content: MakeContent
) -> None:
    proxy.limit = MB
    async with open_s3(options, known={}) as sink:
        assert isinstance(sink, S3Sink)
        [note] = sink.notes
        assert "clips of 16 MiB are refused (413), probably by a proxy" in note
        assert "client_max_body_size" in note
        with pytest.raises(SinkError, match="too large for a proxy in front of the store: raise its limit") as refused:
            await sink.put(KEY, make_content(3 * MB))
        assert not isinstance(refused.value, SinkUnavailable), "the store is there, and takes smaller clips"
        await sink.put(Key("small.mp4"), make_content(MB // 2))
        assert [stored.key async for stored in sink.list()] == ["small.mp4"]


async def test_a_redirect_to_a_sign_in_page_is_told_as_that_without_its_address(options: S3Options, proxy: Proxy) -> None:
    proxy.sign_in = True
    said = await refusal(options)
    assert "the answer is a redirect to login.example.org, not one of a store" in said
    assert "another region" not in said
    assert "canary-5ecret" not in said


async def test_a_redirect_of_a_store_is_about_the_region() -> None:
    async with fake_s3() as s3:
        s3.always["PutObject"] = Fault(307, "TemporaryRedirect", headers={"Location": "https://elsewhere.example.org/"})
        assert "another region" in await refusal(s3.options())
        s3.always["PutObject"] = Fault(301, headers={"x-amz-bucket-region": "eu-north-1"})
        assert 'region = "eu-north-1"' in await refusal(s3.options())
