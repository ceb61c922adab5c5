"""The S3 sink keeps the contract: at a real server, in one request and in parts, and at one that checks less than S3 does."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from moto import mock_aws

from blinkarchive import Key
from blinkarchive.conformance import OpenSink, SinkContract, Untestable
from blinkarchive_s3 import S3Options, open_s3
from blinkarchive_s3.store import MIB, Limits
from tests.seaweed import Seaweed, secret
from tests.sinks.gate import Gate


class S3Contract(SinkContract):
    limits = Limits(page=100)
    client: Any
    bucket: str
    prefix = ""

    async def flip_a_stored_byte(self, key: Key) -> None:
        name = self.prefix + key
        data = bytearray(self.client.get_object(Bucket=self.bucket, Key=name)["Body"].read())
        data[len(data) // 2] ^= 1
        self.client.put_object(Bucket=self.bucket, Key=name, Body=bytes(data))


class TestSeaweed(S3Contract):
    """What is big goes in parts. Every test has a folder, but the one whose keys leave no room for its name."""

    limits = Limits(page=100, one_put=8 * MIB, part=5 * MIB)
    gate: Gate

    @pytest.fixture
    def open_sink(self, seaweed: Seaweed, bucket: str, request: pytest.FixtureRequest) -> Iterator[OpenSink]:
        url = seaweed.url
        if "outage" in request.node.name:
            self.gate = Gate("127.0.0.1", urlsplit(url).port or 0)
            url = f"http://127.0.0.1:{self.gate.port}"
        long_keys = "1,024" in request.node.name
        self.client, self.bucket = seaweed.client(), seaweed.bucket() if long_keys else bucket
        self.prefix = "" if long_keys else f"{uuid.uuid4().hex}/"
        options = S3Options(bucket=self.bucket, prefix=self.prefix, endpoint_url=url, **seaweed.keys)
        yield lambda: open_s3(options, self.limits)
        self.client.close()
        if url != seaweed.url:
            self.gate.close()

    @asynccontextmanager
    async def take_away(self) -> AsyncIterator[None]:
        with self.gate.closed():
            yield


class TestMoto(S3Contract):
    """It checks no hashes and no signatures, and is part of this process."""

    @pytest.fixture
    def open_sink(self) -> Iterator[OpenSink]:
        with mock_aws():
            self.client, self.bucket = boto3.session.Session().client("s3", region_name="us-east-1"), "clips"
            self.client.create_bucket(Bucket=self.bucket)
            options = S3Options(
                bucket=self.bucket, region="us-east-1", access_key_id=secret("AKID"), secret_access_key=secret("anything")
            )
            yield lambda: open_s3(options, self.limits)

    def take_away(self) -> AbstractAsyncContextManager[None]:
        raise Untestable("moto answers within this process: there is no connection to cut")
