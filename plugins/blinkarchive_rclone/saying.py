"""What rclone's words mean: its errors are texts, those of some seventy services, and here alone they are understood."""

from __future__ import annotations

import re
from collections.abc import Sequence

from blinkarchive import BadKey, CopyDiffers, NotFound, SinkError, SinkFull, SinkUnavailable
from blinkarchive.secret import LONGEST, Secret, redact


def _any_of(*forms: str) -> re.Pattern[str]:
    return re.compile("|".join(forms), re.IGNORECASE)


# The first that is found wins: a quota of requests is no full disk, and a rate limit may come as "403 Forbidden".
_RATE = _any_of(
    r"\b429\b|too[ _]many[ _]requests|rate.?limit|\bslow ?down\b|request ?limit ?exceeded|throttl",
    r"quota (?:metric|exceeded for quota)|user_?rate|daily ?limit ?exceeded|download ?quota ?exceeded|try again (?:after|in)\b",
)
_FULL = _any_of(
    r"\b507\b|insufficient[ _]?(?:storage|space)|no space left|not enough (?:disk )?space|(?:disk|file ?system) (?:is )?full",
    r"disk quota|(?:storage|space|account|team|user)[ _]?quota|quota[ _]?(?:limit)?[ _]?(?:has been )?(?:exceeded|reached)",
    r"over[ _]quota|out of (?:disk )?space|storage[ _](?:limit|cap)|cap exceeded",
)
_NO_LOGIN = _any_of(
    r"\b40[13]\b|unauthori[sz]ed|invalid_grant|invalid_token|expired[ _]?(?:access[ _])?token|token[ _](?:has[ _])?expired",
    r"fetch token|empty token|access ?denied|permission denied|invalid ?access ?key|signature ?does ?not ?match",
    r"unable to authenticate|failed to authenticate|authentication (?:failed|required)|logon failure|bad credentials",
)
_DIFFERS = _any_of(r"corrupted on transfer|(?:hash|size|md5|sha-?1|checksum)s? (?:differ|mismatch)|bad ?digest")
_BAD_NAME = _any_of(
    r"name(?: is)? too long|path(?: is)? too long|key ?too ?long",
    r"(?:invalid|illegal|disallowed|malformed)[ _](?:file ?)?(?:name|path)",
)
_THIS_CLIP = _any_of(r"source file is being updated|not a directory|is a directory|can't copy|cannot create file")
_NOT_CONFIGURED = _any_of(
    r"didn't find section|is a file not a directory|didn't find backend called|couldn't decrypt password|failed to parse",
    r"config(?:uration)? .*(?:incorrect|invalid)|bad connection string",
)
_NOT_OURS = _any_of(r"permission denied|\bEACCES\b")
_ABSENT = ("object not found", "directory not found")

_AGAIN = re.compile(r"try again after \S+ \((?P<span>[\dhms.]+)\)|retry[- ]after[\"']?[:= ]+(?P<seconds>\d{1,6})", re.IGNORECASE)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LONGEST = 600


class Refused(Exception):
    """rclone answered with an error. Never seen outside this package."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    @property
    def absent(self) -> bool:
        """Whether it says that there is no such object or folder; which of its folders is missing, it does not say."""
        return self.status == 404 and self.text.endswith(_ABSENT)

    @property
    def not_a_folder(self) -> bool:
        """Whether it says that something above the name is an object."""
        return self.text.endswith("not a directory")

    @property
    def is_a_folder(self) -> bool:
        """Whether it says that the name is a folder's."""
        return self.text.endswith("is a directory not a file")

    @property
    def misconfigured(self) -> bool:
        """Whether the remote cannot be used as it was written."""
        return bool(_NOT_CONFIGURED.search(self.text))

    def told(self, where: str) -> SinkError:
        """The error that it is for the archive.

        What is not understood is `SinkUnavailable`: an outage of a service that nobody foresaw must not be blamed on a clip.
        """
        text = f"{where}: {self.text}"
        if _RATE.search(self.text):
            return SinkUnavailable(text, retry_after=_wait_in(self.text))
        if _FULL.search(self.text):
            return SinkFull(text)
        if self.absent:
            return NotFound(text)
        if _DIFFERS.search(self.text):
            return CopyDiffers(text)
        if _BAD_NAME.search(self.text):
            return BadKey(text)
        if _THIS_CLIP.search(self.text):
            return SinkError(text)
        if _NO_LOGIN.search(self.text):
            return SinkUnavailable(f"{text}; if the sign-in has run out: rclone config reconnect {where.partition(':')[0]}:")
        return SinkUnavailable(text, retry_after=_wait_in(self.text))


def is_not_ours(error: Exception) -> bool:
    """Whether an error says of a folder that we may not read it: it belongs to the system, or to another program."""
    return isinstance(error.__cause__, Refused) and bool(_NOT_OURS.search(error.__cause__.text))


def clean(text: str, hidden: Sequence[Secret] = ()) -> str:
    """Words of rclone as they may be shown and logged: no secret, one line, not endless. What it says last says most."""
    if len(text) > LONGEST:
        text = text[-LONGEST:].partition(" ")[2]
    text = " ".join(redact(text, *hidden).split())
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"


def _wait_in(text: str) -> float | None:
    found = _AGAIN.search(text)
    if found is None:
        return None
    if found["seconds"]:
        return float(found["seconds"])
    return sum(float(count) * _SECONDS[unit] for count, unit in _SPAN.findall(found["span"])) or None
