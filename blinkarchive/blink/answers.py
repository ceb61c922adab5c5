"""What an answer means: the record it promised, or the error it stands for."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from blinkarchive.blink import wire
from blinkarchive.blink.exchange import Answer
from blinkarchive.errors import (
    BadClip,
    Busy,
    ClientRefused,
    ClipGone,
    Forbidden,
    ServerTrouble,
    SourceError,
    Throttled,
    Unauthorized,
    UpdateRequired,
)

T = TypeVar("T")

#: By Blink's own code, whatever the HTTP status is: some failures come with a 200.
_BY_CODE: dict[int, type[SourceError]] = {
    101: Unauthorized,
    105: UpdateRequired,
    213: SourceError,  # a number of days that is not offered
    304: SourceError,  # no camera of the network looks for motion
    307: Busy,
    700: ClipGone,
    706: SourceError,  # not a list of clips
    1630: SourceError,  # a camera of another family
    1700: Busy,
    2102: Busy,
    2805: SourceError,  # the camera does not look for motion
}
_BY_STATUS: dict[int, type[SourceError]] = {
    401: Unauthorized,
    403: Throttled,
    406: ClientRefused,
    408: ServerTrouble,
    409: Busy,
    426: UpdateRequired,
    429: Throttled,
}
#: What the owner can do, in place of words that name another program ("An app update is required") or none ("Not Acceptable").
_NEXT_STEP: dict[type[SourceError], str] = {
    ClientRefused: "Blink's edge server refuses this client. Update blinkarchive, or wait for a version that Blink accepts",
    UpdateRequired: "Blink no longer serves this version of blinkarchive. Update blinkarchive; the Blink app needs no update",
}
#: Where a clip's bytes were asked for.
_BY_STATUS_OF_MEDIA: dict[int, type[SourceError]] = {403: Forbidden, 404: ClipGone, 410: ClipGone}


def read(answer: Answer, decode: Callable[[bytes], T], *, what: str, now: datetime) -> T:
    """What the answer promised. Raises the `SourceError` it stands for when it is something else."""
    if not 200 <= answer.status < 300:
        raise refusal(answer, what=what, now=now)
    try:
        return decode(answer.body)
    except wire.NotAsPromised as error:
        raise refusal(answer, what=what, now=now, because=str(error)) from None


def refusal(answer: Answer, *, what: str, now: datetime, media: bool = False, because: str = "") -> SourceError:
    """The error that an answer stands for; `because` says what is wrong with one that came with a good status."""
    complaint = wire.complaint(answer.body)
    kind = _kind(answer.status, complaint.code, media=media)
    said = _NEXT_STEP.get(kind) or complaint.text or _web_page(answer) or because or ("" if complaint.code else _excerpt(answer))
    numbers = f"HTTP {answer.status}" + (f", code {complaint.code}" if complaint.code is not None else "")
    return kind(
        f"{what}: {said} ({numbers})" if said else f"{what}: {numbers}",
        status=answer.status,
        code=complaint.code,
        retry_after=retry_after(answer.headers.get("retry-after"), now),
    )


def _kind(status: int, code: int | None, *, media: bool) -> type[SourceError]:
    if media and status in _BY_STATUS_OF_MEDIA:
        return _BY_STATUS_OF_MEDIA[status]
    if media and status == 200 and code not in _BY_CODE:
        return BadClip
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500 or status < 400:
        return ServerTrouble
    return SourceError


def _web_page(answer: Answer) -> str:
    """That a web page came, by its title, and what may be the reason; "" for another body."""
    if answer.type != "text/html" and not answer.body[:200].lstrip().lower().startswith((b"<html", b"<!doctype html")):
        return ""
    title = wire.page_title(answer.body)
    page = f'a web page came instead of an answer ("{title}")' if title else "a web page came instead of an answer"
    if answer.status >= 500:
        return page
    if answer.status < 400:
        return f"{page}; a proxy or a sign-in page of this network may be in between"
    return f"{page}; Blink's edge server may refuse this network for some time: wait an hour before the next try"


def _excerpt(answer: Answer) -> str:
    """The beginning of a body that is not JSON: often a text for people that says what is wrong."""
    return wire.excerpt(answer.body) if answer.type.startswith("text/") else ""


def is_no_clip(answer: Answer) -> bool:
    """Whether an answer with status 200 says by its type that it holds a message, and no film or picture."""
    return answer.type.startswith("text/") or answer.type.partition("/")[2].endswith(("json", "xml"))


def retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds that a `Retry-After` header asks for, from a number or a date; None for what makes no sense."""
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text) if text.isascii() and text[:1].isdigit() else (_date(text) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _date(text: str) -> datetime:
    date = parsedate_to_datetime(text)
    return date if date.tzinfo else date.replace(tzinfo=UTC)
