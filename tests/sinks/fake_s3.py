"""A strict S3 on loopback: it keeps its promises to the letter, or breaks the one it is told to, at the call it is told to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from blinkarchive_s3 import S3Options
from tests.seaweed import secret

ACCESS_KEY_ID = "AKIDOFTHEFAKE0000001"
SECRET_ACCESS_KEY = "canary-secret-of-the-fake-0815-do-not-show"
SESSION_TOKEN = "canary-token-of-the-fake-0816-do-not-show"

Trait = Literal["yes", "ignored", "refused", "echoed"]


@dataclass
class Object:
    """What is stored under a name."""

    data: bytes
    sha256: str | None
    headers: dict[str, str]
    parts: bool = False

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data).hexdigest()}"'


@dataclass
class Upload:
    """A put in parts that is not finished."""

    name: str
    begun: datetime
    headers: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What an answer is in place of the right one; or what happens after the work was done."""

    status: int = 0
    code: str = ""
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    #: "lost": done, and the connection is cut before the answer. "lie": not done, and called a success. "dropped": cut at once.
    #: "cut": an answer that ends in the middle. "page": what a proxy shows to people. "hangs": no answer at all.
    kind: Literal["", "lost", "lie", "dropped", "cut", "page", "hangs"] = ""


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    call: str
    name: str
    headers: Mapping[str, str]
    query: Mapping[str, str]


class FakeS3:
    """One bucket."""

    def __init__(self) -> None:
        self.bucket = f"clips-{uuid.uuid4().hex[:8]}"
        self.objects: dict[str, Object] = {}
        self.uploads: dict[str, Upload] = {}
        self.asked: list[Asked] = []
        #: By call: what the next of them get. With `always`, all of them.
        self.faults: dict[str, list[Fault]] = {}
        self.always: dict[str, Fault] = {}
        self.conditions: Trait = "yes"
        self.checksums: Trait = "yes"
        #: Whether a completion minds the condition.
        self.completes_conditionally = True
        #: The end of the names whose bodies are dropped: as many zeros are kept, with the checksum that came. None: of no name.
        self.drops: str | None = None
        self.deletes = True
        self.versions = False
        self.ranges = True
        self.encodes = True
        self.bucket_exists = True
        self.url = ""
        self.hang = asyncio.Event()

    def options(self, **more: object) -> S3Options:
        """Options that lead here."""
        keys = {"access_key_id": secret(ACCESS_KEY_ID), "secret_access_key": secret(SECRET_ACCESS_KEY)}
        keys |= {"session_token": secret(SESSION_TOKEN)}
        return S3Options(**{"bucket": self.bucket, "endpoint_url": self.url, **keys, **more})  # type: ignore[arg-type]

    def calls(self, *names: str) -> list[str]:
        """The names of the calls that came, or those of them."""
        return [one.call for one in self.asked if not names or one.call in names]

    # -- the wire -----------------------------------------------------------------------------------------------------

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raw = request.rel_url.raw_path
        _, bucket, name = (unquote(part) for part in [*raw.split("/", 2), "", ""][:3])
        query = dict(request.query)
        if "X-Amz-Signature" in query:
            with suppress(Exception):  # a put that was announced: it got its 100, and is not sent
                await request.read()
            return web.Response(status=403)
        call = _call(request.method, name, query)
        self.asked.append(Asked(call, name, request.headers.copy(), query))
        fault = self._fault(call)
        if fault.kind == "hangs":
            await self.hang.wait()
        if fault.kind == "dropped":
            return self._cut(request)
        body = await request.read()
        if not request.headers.get("Authorization", "").startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/"):
            return self._error(request, Fault(403, "AccessDenied"))
        if fault.status:
            return self._error(request, fault)
        if fault.kind == "page":
            return web.Response(text="<html><head/><body>Please sign in to this network.</body></html>", content_type="text/html")
        if fault.kind == "lie":
            return self._lie(call)
        if bucket != self.bucket or not self.bucket_exists:
            return self._error(request, Fault(404, "NoSuchBucket", "The specified bucket does not exist"))
        answer: web.StreamResponse = getattr(self, f"_{call.lower()}")(request, name, query, body)
        if fault.kind == "lost":
            return self._cut(request)
        if fault.kind == "cut":
            return await self._cut_short(request, answer)
        return answer

    def _fault(self, call: str) -> Fault:
        if self.faults.get(call):
            return self.faults[call].pop(0)
        return self.always.get(call, Fault())

    def _cut(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _cut_short(self, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        assert isinstance(answer, web.Response)
        assert isinstance(answer.body, bytes)
        short = web.StreamResponse(status=answer.status, headers=answer.headers)
        short.content_length = len(answer.body)
        await short.prepare(request)
        await short.write(answer.body[: len(answer.body) // 2])
        assert request.transport is not None
        request.transport.close()
        return short

    def _error(self, request: web.Request, fault: Fault) -> web.Response:
        text = ""
        if request.method != "HEAD" and fault.code:
            words = f"<Code>{fault.code}</Code><Message>{escape(fault.message)}</Message>{fault.more}"
            text = f"<?xml version='1.0'?><Error>{words}</Error>"
        return web.Response(status=fault.status, text=text, content_type="application/xml", headers=fault.headers)

    def _lie(self, call: str) -> web.Response:
        if call == "ListObjectsV2":
            return _xml("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        return web.Response(headers={"ETag": '"0123456789abcdef0123456789abcdef"'})

    # -- the calls ----------------------------------------------------------------------------------------------------

    def _refused(self, request: web.Request, name: str, body: bytes) -> web.Response | None:
        """Why a put is refused, if it is."""
        said = request.headers
        if "If-None-Match" in said:
            if self.conditions == "refused":
                return self._error(request, Fault(501, "NotImplemented", "A header you provided implies functionality"))
            if said["If-None-Match"] != "*":
                return self._error(request, Fault(400, "InvalidArgument"))
        if "x-amz-checksum-sha256" in said:
            if self.checksums == "refused":
                return self._error(request, Fault(400, "InvalidArgument", "x-amz-checksum-sha256 is not supported"))
            right = base64.b64encode(hashlib.sha256(body).digest()).decode()
            if self.checksums == "yes" and said["x-amz-checksum-sha256"] != right:
                return self._error(request, Fault(400, "BadDigest", "The SHA256 you specified did not match"))
        if int(said.get("Content-Length", -1)) != len(body):
            return self._error(request, Fault(411, "MissingContentLength"))
        return None

    def _taken(self, request: web.Request, name: str) -> bool:
        return "If-None-Match" in request.headers and self.conditions == "yes" and name in self.objects

    def _putobject(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        if self._taken(request, name):
            return self._error(request, Fault(412, "PreconditionFailed", "At least one of the pre-conditions failed"))
        if refused := self._refused(request, name, body):
            return refused
        said = request.headers.get("x-amz-checksum-sha256")
        kept = said if self.checksums in ("yes", "echoed") else None
        data = bytes(len(body)) if self.drops is not None and name.endswith(self.drops) else body
        self.objects[name] = stored = Object(data, kept, _kept(request.headers))
        return web.Response(headers={"ETag": stored.etag, **({"x-amz-version-id": uuid.uuid4().hex} if self.versions else {})})

    def _headobject(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        stored = self.objects.get(name)
        if stored is None:
            return self._error(request, Fault(404))
        headers = {"ETag": stored.etag, **stored.headers, "Content-Length": str(len(stored.data))}
        if stored.sha256 and request.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers["x-amz-checksum-sha256"] = stored.sha256
            headers["x-amz-checksum-type"] = "COMPOSITE" if stored.parts else "FULL_OBJECT"
        return web.Response(headers=headers)

    def _getobject(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        stored = self.objects.get(name)
        if stored is None:
            return self._error(request, Fault(404, "NoSuchKey", "The specified key does not exist."))
        headers = {"ETag": stored.etag, **stored.headers}
        span = request.headers.get("Range", "")
        if not span or not self.ranges:
            return web.Response(body=stored.data, headers=headers)
        first, last = span.removeprefix("bytes=").split("-")
        start, end = int(first), int(last) + 1 if last else len(stored.data)
        if start >= len(stored.data):
            return self._error(request, Fault(416, "InvalidRange"))
        data = stored.data[start:end]
        headers["Content-Range"] = f"bytes {start}-{start + len(data) - 1}/{len(stored.data)}"
        return web.Response(status=206, body=data, headers=headers)

    def _listobjectsv2(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        names = sorted(one for one in self.objects if one.startswith(query.get("prefix", "")))
        after = query.get("continuation-token", "")
        left = [one for one in names if one > after]
        page = left[: min(int(query.get("max-keys", 1000)), 1000)]
        encoded = self.encodes and query.get("encoding-type") == "url"
        rows = "".join(
            f"<Contents><Key>{quote(one) if encoded else escape(one)}</Key><Size>{len(self.objects[one].data)}</Size></Contents>"
            for one in page
        )
        more = len(left) > len(page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        kind = "<EncodingType>url</EncodingType>" if encoded else ""
        return _xml(f"<ListBucketResult>{kind}<IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}</ListBucketResult>")

    def _deleteobject(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        if not self.deletes:
            return self._error(request, Fault(403, "AccessDenied", "not allowed to perform: s3:DeleteObject"))
        self.objects.pop(name, None)
        return web.Response(status=204)

    def _createmultipartupload(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        upload = uuid.uuid4().hex
        self.uploads[upload] = Upload(name, datetime.now(UTC), _kept(request.headers))
        return _xml(f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")

    def _uploadpart(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        if refused := self._refused(request, name, body):
            return refused
        if query["uploadId"] not in self.uploads:
            return self._error(request, Fault(404, "NoSuchUpload"))
        self.uploads[query["uploadId"]].parts[int(query["partNumber"])] = body
        return web.Response(headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _completemultipartupload(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        upload = self.uploads.get(query["uploadId"])
        if upload is None:
            return self._error(request, Fault(404, "NoSuchUpload"))
        if self.completes_conditionally and self._taken(request, name):
            return self._error(request, Fault(412, "PreconditionFailed"))
        data = b"".join(part for _, part in sorted(upload.parts.items()))
        digests = b"".join(hashlib.sha256(part).digest() for _, part in sorted(upload.parts.items()))
        composite = base64.b64encode(hashlib.sha256(digests).digest()).decode() + f"-{len(upload.parts)}"
        self.objects[name] = stored = Object(data, composite, upload.headers, parts=True)
        del self.uploads[query["uploadId"]]
        return _xml(f"<CompleteMultipartUploadResult><ETag>{escape(stored.etag)}</ETag></CompleteMultipartUploadResult>")

    def _abortmultipartupload(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        if self.uploads.pop(query["uploadId"], None) is None:
            return self._error(request, Fault(404, "NoSuchUpload"))
        return web.Response(status=204)

    def _listmultipartuploads(self, request: web.Request, name: str, query: Mapping[str, str], body: bytes) -> web.Response:
        found = sorted((one.name, upload, one.begun) for upload, one in self.uploads.items())
        after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        left = [row for row in found if row[0].startswith(query.get("prefix", "")) and row[:2] > after]
        page, more = left[:2], len(left) > 2
        rows = "".join(
            f"<Upload><Key>{escape(key)}</Key><UploadId>{upload}</UploadId><Initiated>{begun:%Y-%m-%dT%H:%M:%SZ}</Initiated></Upload>"
            for key, upload, begun in page
        )
        markers = (
            f"<NextKeyMarker>{escape(page[-1][0])}</NextKeyMarker><NextUploadIdMarker>{page[-1][1]}</NextUploadIdMarker>"
            if more
            else ""
        )
        return _xml(
            f"<ListMultipartUploadsResult><IsTruncated>{str(more).lower()}</IsTruncated>{markers}{rows}</ListMultipartUploadsResult>"
        )


def _call(method: str, name: str, query: Mapping[str, str]) -> str:
    """S3's name of a request."""
    in_parts = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
    if "uploadId" in query:
        return in_parts[method]
    if "uploads" in query:
        return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
    if not name:
        return "ListObjectsV2"
    return {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}[method]


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """What a store gives back of the headers of a put."""
    return {name: value for name, value in headers.items() if name.lower() == "content-type" or "x-amz-meta-" in name.lower()}


def _xml(text: str) -> web.Response:
    return web.Response(text=f"<?xml version='1.0' encoding='UTF-8'?>{text}", content_type="application/xml")


@asynccontextmanager
async def fake_s3(ssl_context: ssl.SSLContext | None = None, **traits: object) -> AsyncIterator[FakeS3]:
    """A fake that serves, with these of its traits changed."""
    fake = FakeS3()
    for name, value in traits.items():
        assert hasattr(fake, name), name
        setattr(fake, name, value)
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{tail:.*}", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
    await site.start()
    fake.url = f"{'https' if ssl_context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        fake.hang.set()
        await runner.cleanup()
