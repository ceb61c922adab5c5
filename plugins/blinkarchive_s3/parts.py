"""Large objects: put part by part, visible with the last step alone; and what killed runs left of such puts."""

from __future__ import annotations

import base64
import hashlib
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO

from blinkarchive import BlinkArchiveError, Content, CopyDiffers, Key, SinkError
from blinkarchive_s3.body import PIECE, Body, Stopped
from blinkarchive_s3.names import is_marked
from blinkarchive_s3.telling import status_of
from blinkarchive_s3.traits import Support

if TYPE_CHECKING:
    from blinkarchive_s3.store import Store

log = logging.getLogger(__name__)

MOST_PARTS = 10_000
ABANDONED_AFTER = timedelta(days=1)


def put_in_parts(store: Store, key: Key, name: str, content: Content, file: BinaryIO, stop: Event) -> None:
    """Put a large content: nothing of it is visible before the last call, and nothing is kept when that is not reached."""
    store.require_absent(key)
    checked = store.traits.checksums is not Support.REFUSED
    with store.teller.translating(key):
        upload = store.client.create_multipart_upload(
            **store.target(name), **store.described(key, content), **({"ChecksumAlgorithm": "SHA256"} if checked else {})
        )["UploadId"]
    try:
        parts = _put_all(store, key, name, upload, content, file, stop)
        store.require_absent(key)  # also where the store takes the condition on a put, and not here
        if stop.is_set():
            raise Stopped
        with store.teller.translating(key):
            answer = store.client.complete_multipart_upload(
                **store.target(name), UploadId=upload, MultipartUpload={"Parts": parts}, **store.unless_there()
            )
        store.require_etag(answer)
    except BaseException:
        with suppress(BlinkArchiveError):  # what is left is removed by a later run
            _abort(store, name, upload)
        raise


def _put_all(
    store: Store, key: Key, name: str, upload: str, content: Content, file: BinaryIO, stop: Event
) -> list[dict[str, Any]]:
    length = max(store.limits.part, -(-content.size // MOST_PARTS))
    whole = hashlib.sha256()
    parts = []
    for number, start in enumerate(range(0, content.size, length), 1):
        part = (file, content.path, start, min(length, content.size - start), stop)
        with store.sending(key, read := Body(*part)):
            digest = hashlib.sha256()
            while piece := read.read(PIECE):
                digest.update(piece)
                whole.update(piece)
        body = Body(*part, content.progress)
        with store.sending(key, body):
            checksum = {"ChecksumSHA256": base64.b64encode(digest.digest()).decode()}
            checksum = {} if store.traits.checksums is Support.REFUSED else checksum
            answer = store.client.upload_part(
                **store.target(name), UploadId=upload, PartNumber=number, Body=body, ContentLength=len(body), **checksum
            )
        store.require_etag(answer)
        parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksum})
    if whole.hexdigest() != content.sha256:
        raise CopyDiffers(f"{content.path} has other bytes than it had")
    return parts


def sweep(store: Store, now: datetime | None = None) -> str:
    """Abort what killed runs began more than a day ago: below our folder, under names that clips of ours have.

    What keeps us from it keeps no clip from being stored. Where only the right to do it lacks, that is returned in words.
    """
    try:
        for name, upload in _abandoned(store, (now or datetime.now(UTC)) - ABANDONED_AFTER):
            log.info("an upload that a killed run left is removed", extra={"key": name})
            _abort(store, name, upload)
    except SinkError as error:
        log.info("unfinished uploads cannot be looked after", extra={"because": str(error)})
        return (
            ""
            if status_of(error) != 403
            else f"unfinished uploads of killed runs cannot be removed, a lifecycle rule can do it: {error}"
        )
    return ""


def _abandoned(store: Store, before: datetime) -> list[tuple[str, str]]:
    folder, found = store.options.folder, []
    markers: dict[str, str] = {}
    while True:
        with store.teller.translating():
            page = store.client.list_multipart_uploads(Bucket=store.options.bucket, Prefix=folder, **markers)
        for one in page.get("Uploads", ()):
            name = str(one["Key"])
            if name.startswith(folder) and is_marked(name.removeprefix(folder)) and one["Initiated"] < before:
                found.append((name, one["UploadId"]))
        following = {"KeyMarker": page.get("NextKeyMarker"), "UploadIdMarker": page.get("NextUploadIdMarker")}
        following = {name: value for name, value in following.items() if value}
        if not page.get("IsTruncated") or "KeyMarker" not in following or following == markers:
            return found
        markers = following


def _abort(store: Store, name: str, upload: str) -> None:
    with store.teller.translating(name):
        store.client.abort_multipart_upload(**store.target(name), UploadId=upload)
