"""A bucket, or a folder in it: every call blocks, and asks the store once or a fixed number of times."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from blinkarchive import AlreadyThere, Content, Key, NotFound, SinkError, SinkUnavailable, Stored
from blinkarchive_s3.body import Body
from blinkarchive_s3.names import check, is_key, type_of
from blinkarchive_s3.options import S3Options
from blinkarchive_s3.telling import Answer, Teller, status_of
from blinkarchive_s3.traits import Support, Traits
from blinkarchive_s3.turns import TURNS

MIB = 1024 * 1024
CHUNK = MIB
_LOOKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Figures that only tests have a reason to change."""

    #: What is no larger goes in one request.
    one_put: int = 64 * MIB
    #: Of anything larger, the size of its parts; more where it would be more than 10,000 of them.
    part: int = 16 * MIB
    #: Objects a page of a listing.
    page: int = 1000


class Store:
    """One bucket, and one folder in it."""

    def __init__(self, client: Any, options: S3Options, teller: Teller, limits: Limits) -> None:
        self.client = client
        self.options = options
        self.teller = teller
        self.limits = limits
        #: Set once the store was probed.
        self.traits = Traits()

    @property
    def place(self) -> tuple[str, str, str]:
        """Which place this is, for all who open it in this process."""
        return (self.client.meta.endpoint_url, self.options.bucket, self.options.folder)

    # -- put ----------------------------------------------------------------------------------------------------------

    def put(self, key: Key, content: Content, stop: Event) -> None:
        """See `Sink.put`. Once `stop` is set, nothing more becomes visible but what the store has got whole already."""
        from blinkarchive_s3.parts import put_in_parts

        name = check(key, self.options.folder)
        with _opened(content) as file, TURNS.alone((*self.place, key), needed=self.traits.conditions is not Support.YES):
            if content.size > self.limits.one_put:
                put_in_parts(self, key, name, content, file, stop)
                return
            if self.traits.conditions is not Support.YES:
                self.require_absent(key)
            body = Body(file, content.path, 0, content.size, stop, content.progress)
            with self.sending(key, body):
                answer = self.client.put_object(
                    **self.target(name),
                    **self.described(key, content),
                    **self.unless_there(),
                    **({} if self.traits.checksums is Support.REFUSED else {"ChecksumSHA256": in_base64(content.sha256)}),
                    Body=body,
                    ContentLength=content.size,
                )
        self.require_etag(answer)

    def target(self, name: str) -> dict[str, str]:
        """Which object is meant."""
        return {"Bucket": self.options.bucket, "Key": name}

    def unless_there(self) -> dict[str, str]:
        """The condition of a put that must not overwrite."""
        return {} if self.traits.conditions is Support.REFUSED else {"IfNoneMatch": "*"}

    def described(self, key: Key, content: Content) -> dict[str, Any]:
        """What is said of an object when it is put. The archive's marker is never locked, nor in a class of its own."""
        options = self.options
        said: dict[str, Any] = {"ContentType": type_of(key), "Metadata": {"sha256": content.sha256}, **options.sealed}
        if key.startswith("."):
            return said
        if options.storage_class is not None:
            said["StorageClass"] = options.storage_class
        if options.tags:
            said["Tagging"] = options.tagging
        if options.object_lock_mode is not None and options.object_lock_days is not None:
            said["ObjectLockMode"] = options.object_lock_mode
            said["ObjectLockRetainUntilDate"] = datetime.now(UTC) + timedelta(days=options.object_lock_days)
        return said

    @contextmanager
    def sending(self, key: str, body: Body) -> Iterator[None]:
        """Translates, and tells faults of the file from those of the connection."""
        try:
            with self.teller.translating(key):
                yield
        except SinkError:
            if body.failure is not None:
                raise body.failure from None
            raise

    def require_absent(self, key: Key) -> None:
        """Raise `AlreadyThere` when the key exists."""
        if self.stat(key) is not None:
            raise AlreadyThere(f"{key} is there already")

    def require_etag(self, answer: Mapping[str, Any]) -> None:
        """Raise `SinkUnavailable` for a success that no S3 would call one: every object has an ETag."""
        if not answer.get("ETag"):
            raise self.teller.strange("an answer without an ETag")

    # -- stat, open, list, delete -------------------------------------------------------------------------------------

    def stat(self, key: Key) -> Stored | None:
        """See `Sink.stat`. The hash is the store's own of the whole object; what is written beside an object proves nothing."""
        found = self.head(check(key, self.options.folder), key)
        if found is None:
            return None
        sha256 = own_sha256(found) if self.traits.checksums is Support.YES else None
        return Stored(key=key, size=int(found["ContentLength"]), sha256=sha256)

    def head(self, name: str, key: str) -> Mapping[str, Any] | None:
        """What the store says of an object; None when it is certainly not there."""
        with self.teller.translating(key):
            for _ in range(_LOOKS):
                try:
                    found: Mapping[str, Any] = self.client.head_object(**self.target(name), ChecksumMode="ENABLED")
                except ClientError as error:
                    if Answer.of(error).status >= 500:
                        raise
                else:
                    if "ContentLength" not in found:
                        raise self.teller.strange("an object without a length")
                    self.require_etag(found)
                    return found
                if not self._has_come(name, key):
                    return None
        raise SinkUnavailable(f"bucket {self.options.bucket}: {key} comes and goes")

    def _has_come(self, name: str, key: str) -> bool:
        """A HEAD was refused, and has no room for words: a GET says why. False when there is no such object in this bucket.

        Raises what else it says: no such bucket, no permission to know, a wrong clock.
        """
        try:
            with self.teller.translating(key):
                self.client.get_object(**self.target(name), Range="bytes=0-0")["Body"].close()
        except NotFound:
            return False
        except SinkError as error:
            if status_of(error) != 416:  # no first byte: it is there, and empty
                raise
        return True

    def read(self, key: Key, start: int) -> Generator[bytes, None, None]:
        """See `Sink.open`. One answer is one state of the object, so that there is nothing to be matched between two."""
        name = check(key, self.options.folder)
        with self.teller.translating(key):
            try:
                answer = self.client.get_object(**self.target(name), **({"Range": f"bytes={start}-"} if start else {}))
            except ClientError as error:
                if start and Answer.of(error).status == 416:
                    return  # it ends there
                raise
            body = answer["Body"]
            try:
                self._require_range(answer, start)
                left = int(answer["ContentLength"])
                while chunk := body.read(CHUNK):
                    left -= len(chunk)
                    yield chunk
                if left:
                    raise self.teller.strange(f"{key} ended {left:,} bytes early")
            finally:
                body.close()

    def _require_range(self, answer: Mapping[str, Any], start: int) -> None:
        self.require_etag(answer)
        if "ContentLength" not in answer:
            raise self.teller.strange("an object without a length")
        if start and not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
            raise self.teller.strange(f"asked for what begins at {start:,}, it gave {answer.get('ContentRange') or 'all of it'}")

    def pages(self, prefix: str) -> Generator[Sequence[Stored], None, None]:
        """See `Sink.list`: page by page, to the last one, or an error."""
        token: str | None = None
        while True:
            with self.teller.translating():
                page = self.client.list_objects_v2(
                    Bucket=self.options.bucket,
                    Prefix=self.options.folder + prefix,
                    MaxKeys=self.limits.page,
                    **({"ContinuationToken": token} if token else {}),
                )
                if "IsTruncated" not in page:
                    raise self.teller.strange("a listing that does not say whether it is whole")
            skip = len(self.options.folder)
            found = [Stored(key=Key(one["Key"][skip:]), size=int(one["Size"])) for one in page.get("Contents", ())]
            yield [one for one in found if one.key.startswith(prefix) and is_key(one.key)]  # some take "a//" for "a/"
            if not page["IsTruncated"]:
                return
            following = page.get("NextContinuationToken")
            if not following or following == token:
                raise self.teller.strange("a listing that is not whole, and has no next page")
            token = following

    def delete(self, key: Key) -> None:
        """See `Sink.delete`. The store calls a delete of nothing a success, so it is asked first."""
        if self.stat(key) is None:
            raise NotFound(f"there is no {key}")
        with self.teller.translating(key):
            self.client.delete_object(**self.target(check(key, self.options.folder)))

    def close(self) -> None:
        """Close its connections."""
        self.client.close()


def own_sha256(found: Mapping[str, Any]) -> str | None:
    """The SHA-256 that the store itself has of the whole object; None when it has none, or only one of its parts."""
    if found.get("ChecksumType") not in (None, "FULL_OBJECT"):
        return None
    try:
        digest = base64.b64decode(found.get("ChecksumSHA256", ""), validate=True)
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 32 else None


def in_base64(sha256: str) -> str:
    """A hash as S3 writes it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


@contextmanager
def _opened(content: Content) -> Iterator[BinaryIO]:
    """The content's file. Raises `SinkError` when it cannot be read, or is not as long as it should be."""
    try:
        file = content.path.open("rb")
    except OSError as error:
        raise SinkError(f"{content.path} cannot be read: {error.strerror}") from error
    with file:
        if os.fstat(file.fileno()).st_size != content.size:
            raise SinkError(f"{content.path} is not {content.size:,} bytes long, as it should be")
        yield file
