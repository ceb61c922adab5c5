"""What a store's answer means, in our errors and in words: the one place that knows boto3's exceptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from blinkarchive import AlreadyThere, BadKey, BlinkArchiveError, CopyDiffers, NotFound, SinkError, SinkFull, SinkUnavailable
from blinkarchive.secret import Secret, redact

#: What to do, by the code of the store's error. None of these is the fault of a clip.
_STANDING = {
    "InvalidAccessKeyId": "the store does not know this access key: mend access_key_id",
    "SignatureDoesNotMatch": "the signature is wrong. Either secret_access_key is wrong, or a proxy before the store changes the "
    "Host header: correct the key, or let the proxy pass the header on",
    "ExpiredToken": "the session's credentials have expired: get new ones",
    "ExpiredTokenException": "the session's credentials have expired: get new ones",
    "TokenRefreshRequired": "the session's credentials have expired: get new ones",
    "InvalidToken": "the session's credentials are of no use: mend session_token",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it, best by NTP",
    "RequestExpired": "the clock of this machine is wrong: set it, best by NTP",
    "NoSuchBucket": "there is no such bucket: create it, or mend bucket",
    "InvalidBucketName": "that is no name of a bucket there: mend bucket",
    "AllAccessDisabled": "the store has closed this bucket: ask its operator",
    "AccountProblem": "the store has a problem with the account: ask its operator",
    "NotSignedUp": "the account has not been signed up for this store",
}
_FULL = frozenset(
    {"QuotaExceeded", "StorageFull", "XMinioStorageFull", "InsufficientStorage", "XAmzQuotaExceeded", "QuotaExceededException"}
    | {"XMinioAdminBucketQuotaExceeded", "InsufficientCapacity", "StorageCapExceeded", "storage_cap_exceeded"}
)
_PASSING = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "InternalError",
        "ServiceUnavailable",
        "ConditionalRequestConflict",
        "OperationAborted",
    }
    | {"Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded", "BandwidthLimitExceeded"}
)
_DAMAGED = frozenset({"BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "IncompleteBody"})
_OTHER_REGION = frozenset(
    {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "Redirect"}
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
RAISE_THE_LIMIT = "raise its limit for the body of a request (nginx: client_max_body_size; Apache: LimitRequestBody)"
_NO_KEY = frozenset({"KeyTooLongError", "InvalidObjectName", "XMinioInvalidObjectName", "InvalidURI"})
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion"})
_BROKEN = (ResponseParserError, boto.HTTPClientError, boto.IncompleteReadError, HTTPError, OSError)
_NEEDED = {
    "PutObject": "s3:PutObject (with tags s3:PutObjectTagging too, with a lock s3:PutObjectRetention)",
    "HeadObject": "s3:GetObject and s3:ListBucket",
    "GetObject": "s3:GetObject and s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "DeleteObject": "s3:DeleteObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
"""Which permission a call needs, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An error that the store gave."""

    status: int
    #: S3's own word for it. A HEAD has no body to hold one; then it is the status.
    code: str
    message: str
    headers: Mapping[str, str]
    #: The region that is right, where the answer names it.
    region: str
    call: str

    @classmethod
    def of(cls, error: boto.ClientError) -> Answer:
        """What a `ClientError` holds."""
        said: Any = error.response
        told, about = said.get("Error", {}), said.get("ResponseMetadata", {})
        headers: Mapping[str, str] = about.get("HTTPHeaders", {})
        message = str(told.get("Message", ""))
        region = headers.get("x-amz-bucket-region") or told.get("Region") or _quoted_after(message, "expecting ")
        return cls(
            status=int(about.get("HTTPStatusCode", 0)),
            code=str(told.get("Code", "")),
            message=message,
            headers=headers,
            region=str(region),
            call=str(error.operation_name),
        )

    @property
    def leads_to(self) -> str:
        """The host that a redirect leads to; "" when it names none. The rest of the address may hold a secret."""
        try:
            return urlsplit(self.headers.get("location", "")).hostname or ""
        except ValueError:
            return ""

    @property
    def has_words(self) -> bool:
        """Whether there was a body that says what is wrong."""
        return not self.code.isdigit() and bool(self.code)


class Teller:
    """Translates for one bucket. What it says holds none of the credentials."""

    def __init__(self, bucket: str, known: tuple[Secret, ...] = ()) -> None:
        self._bucket = bucket
        self._known = known

    @contextmanager
    def translating(self, key: str = "") -> Iterator[None]:
        """Errors of boto3 become `SinkError`s, those of the core and of the file at hand go through."""
        try:
            yield
        except BlinkArchiveError:
            raise
        except boto.ClientError as error:
            raise self.meant(Answer.of(error), key) from error
        except (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
            boto.UnauthorizedSSOTokenError,
            boto.SSOError,
        ) as error:
            advice = "there are no credentials: give access_key_id and secret_access_key, or what boto3 looks for"
            raise self._away(advice, error) from error
        except boto.SSLError as error:
            advice = "the store's certificate is not trusted: is endpoint_url right? One of its own needs ca_file"
            raise self._away(advice, error) from error
        except (boto.ConnectTimeoutError, boto.EndpointConnectionError, boto.ProxyConnectionError) as error:
            raise self._away("the store cannot be reached: is this machine online, and endpoint_url right?", error) from error
        except _BROKEN as error:
            raise self._away("the store broke off, or what answers is none", error) from error
        except boto.ParamValidationError as error:
            raise SinkError(self._say("boto3 does not take this", str(error))) from error
        except boto.BotoCoreError as error:
            raise self._away("the store could not be asked", error) from error

    def meant(self, answer: Answer, key: str) -> SinkError:
        """What an error of the store is to the archive."""
        status, code = answer.status, answer.code
        if status == 412:
            return AlreadyThere(f"{key} is there already")
        if code in _MISSING:
            return NotFound(f"there is no {key}")
        if code == "NoSuchUpload":
            return SinkUnavailable(self._told(answer, "the upload is not there any more"))
        if code in _FULL or status == 507:
            return SinkFull(self._told(answer, "there is no room"))
        if code in _OTHER_REGION or (answer.region and status in _REDIRECTS):
            right = f'region = "{answer.region}"' if answer.region else "the right region, or the right endpoint_url"
            return SinkUnavailable(self._told(answer, f"the bucket is in another region: write {right}"))
        if status in _REDIRECTS:
            there = f" to {answer.leads_to}" if answer.leads_to else ""
            advice = (
                f"the answer is a redirect{there}, not one of a store: a proxy or a sign-in page answers in its place, or the "
                "address is wrong. Let requests to the store pass without a sign-in, or correct endpoint_url"
            )
            return SinkUnavailable(self._told(answer, advice))
        if code in _STANDING:
            return SinkUnavailable(self._told(answer, _STANDING[code]))
        if status in (400, 409) and "object lock" in answer.message.lower():
            return SinkUnavailable(
                self._told(answer, "the bucket locks no objects: leave out object_lock_mode, or make one that does")
            )
        if code == "InvalidObjectState":
            return SinkError(self._told(answer, f"{key} is in a storage class that has to be thawed first: restore it there"))
        if code in _DAMAGED:
            return CopyDiffers(self._told(answer, f"the bytes of {key} came there as others than they are"))
        if code in _NO_KEY:
            return BadKey(self._told(answer, f"{key!r} is no name there"))
        if code == "EntityTooLarge":
            return SinkError(self._told(answer, f"{key} is too large for this store"))
        if status == 413:
            return SinkError(self._told(answer, f"{key} is too large for a proxy in front of the store: {RAISE_THE_LIMIT}"))
        if status in (401, 403):
            advice = f"the credentials may not do this: allow {_NEEDED.get(answer.call, f's3:{answer.call}')}"
            return SinkUnavailable(self._told(answer, advice))
        if code in _PASSING or status in (408, 409, 425, 429) or status >= 500:
            wait = _wait(answer.headers.get("retry-after", ""))
            return SinkUnavailable(self._told(answer, "the store asks for patience"), retry_after=wait)
        if status == 404:  # not in S3's own words: a proxy, a wrong address
            return SinkUnavailable(self._told(answer, "what answers does not know the bucket: is endpoint_url right?"))
        return SinkError(self._told(answer, "the store refuses this"))

    def wrong_host(self) -> SinkUnavailable:
        """For a store that accepts our key where the Host header is not signed, and refuses it where it is."""
        advice = (
            "a proxy in front of the store changes the Host header, which is signed; the access key is right. Let the proxy pass "
            "the header on (nginx: proxy_set_header Host $http_host)"
        )
        return SinkUnavailable(self._say(advice, "SignatureDoesNotMatch"))

    def strange(self, what: str) -> SinkUnavailable:
        """For an answer that no S3 gives."""
        return SinkUnavailable(self._say("what answers is no S3, or a broken one: is endpoint_url right?", what))

    def _away(self, advice: str, error: Exception) -> SinkUnavailable:
        return SinkUnavailable(self._say(advice, str(error)))

    def _told(self, answer: Answer, advice: str) -> str:
        words = f"{answer.code}: {answer.message}" if answer.has_words else ""
        return self._say(advice, f"{answer.call}: {answer.status} {words}".strip())

    def _say(self, advice: str, why: str) -> str:
        return redact(f"bucket {self._bucket}: {advice} ({' '.join(why.split())[:500]})", *self._known)


def status_of(error: SinkError) -> int:
    """The status of the answer that an error stands for; 0 when there was none."""
    cause = error.__cause__
    return Answer.of(cause).status if isinstance(cause, boto.ClientError) else 0


def is_wrong_signature(error: SinkError) -> bool:
    """Whether the store refused the signature of a request."""
    cause = error.__cause__
    return isinstance(cause, boto.ClientError) and Answer.of(cause).code == "SignatureDoesNotMatch"


def _quoted_after(text: str, word: str) -> str:
    """What stands between '…' after a word; "" when nothing does."""
    _, found, rest = text.partition(f"{word}'")
    return rest.partition("'")[0] if found else ""


def _wait(said: str) -> float | None:
    """A Retry-After in seconds: it is a number of them, or a date."""
    if said.isdecimal():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
