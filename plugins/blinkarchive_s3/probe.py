"""Finds out, once for each place and process, which of S3's promises a store keeps. It never trusts what it has not seen."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from blinkarchive import BlinkArchiveError, SinkUnavailable
from blinkarchive_s3.names import PROBE, WRONG_PROBE
from blinkarchive_s3.parts import sweep
from blinkarchive_s3.store import Store, in_base64, own_sha256
from blinkarchive_s3.telling import Answer
from blinkarchive_s3.traits import Support, Traits

TEXT = b"blinkarchive looked here what this store can do; this can be deleted\n"
SHA256 = hashlib.sha256(TEXT).hexdigest()
OTHER_SHA256 = hashlib.sha256(b"something else").hexdigest()

_TURNS = 3
_UNKNOWN = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest", "UnsupportedHeader", "InvalidHeader"})
"""How stores call a header that they do not know; or they answer 501."""


def probed(store: Store) -> Traits:
    """What the store can do. Raises `SinkError` when it cannot be used."""
    return _Probe(store).traits().noting(sweep(store))


class _Probe:
    """The name is always the same: where nothing may be deleted one small object stays, not one more for each run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._name = store.options.folder + PROBE
        self._wrong = store.options.folder + WRONG_PROBE

    def traits(self) -> Traits:
        for _ in range(_TURNS):
            conditions, checksums, created, versioned = self._put()
            found = self._store.head(self._name, PROBE)
            if found is None:
                continue  # another process has taken it away just now; or nothing was stored
            if found["ContentLength"] != len(TEXT):
                break
            if checksums is Support.YES and (own_sha256(found) != SHA256 or not self._refuses_wrong(conditions)):
                checksums = Support.IGNORED
            if created and not versioned:
                self._delete(self._name)
            return Traits(conditions=conditions, checksums=checksums)
        raise SinkUnavailable(f"bucket {self._store.options.bucket}: it took a small object, and does not have what it was given")

    def _put(self) -> tuple[Support, Support, bool, bool]:
        """Put the probe, leaving out what the store does not take. Also tells whether it is new, and kept in versions."""
        for conditions, checksums in _combinations():
            try:
                with self._store.teller.translating(PROBE):
                    status, answer = self._ask(self._name, SHA256, conditions, checksums)
            except _Unknown as error:
                last = error
                continue
            if status == 412:
                return Support.YES, checksums, False, False
            versioned = answer.get("VersionId") not in (None, "null")
            if conditions is Support.YES:
                status, _ = self._ask(self._name, SHA256, conditions, checksums)
                conditions = Support.IGNORED if status == 200 else Support.YES
            return conditions, checksums, True, versioned
        raise last.meant

    def _refuses_wrong(self, conditions: Support) -> bool:
        """Whether a wrong hash is noticed. A store that keeps whatever it is told as the hash proves nothing by telling it."""
        with self._store.teller.translating(WRONG_PROBE):
            try:
                status, answer = self._ask(self._wrong, OTHER_SHA256, conditions, Support.YES)
            except _Unknown:
                return True
        if status == 200 and answer.get("VersionId") in (None, "null"):
            self._delete(self._wrong)
        return status == 400

    def _ask(self, name: str, sha256: str, conditions: Support, checksums: Support) -> tuple[int, dict[str, Any]]:
        """Put it, and give the status: 200, 412 if it is there, 400 if its hash is wrong. Raises `_Unknown`, or `SinkError`."""
        said: dict[str, Any] = dict(self._store.options.sealed)
        said |= {} if conditions is Support.REFUSED else {"IfNoneMatch": "*"}
        said |= {} if checksums is Support.REFUSED else {"ChecksumSHA256": in_base64(sha256)}
        with self._store.teller.translating(name):
            try:
                answer = self._store.client.put_object(
                    **self._store.target(name), **said, Body=TEXT, ContentLength=len(TEXT), ContentType="text/plain"
                )
            except ClientError as error:
                told = Answer.of(error)
                if told.status in (412, 409):
                    return 412, {}
                if told.status == 501 or (told.status == 400 and told.code in _UNKNOWN):
                    raise _Unknown(self._store.teller.meant(told, PROBE)) from error
                if told.status == 400 and sha256 == OTHER_SHA256:
                    return 400, {}
                raise
        self._store.require_etag(answer)
        return 200, answer

    def _delete(self, name: str) -> None:
        with suppress(BlinkArchiveError), self._store.teller.translating(name):  # it may not be allowed, and need not be
            self._store.client.delete_object(**self._store.target(name))


class _Unknown(BlinkArchiveError):
    """The store does not take a request with such a header."""

    def __init__(self, meant: BlinkArchiveError) -> None:
        super().__init__(str(meant))
        self.meant = meant


def _combinations() -> list[tuple[Support, Support]]:
    """What is tried, the best first."""
    yes, no = Support.YES, Support.REFUSED
    return [(yes, yes), (yes, no), (no, yes), (no, no)]
