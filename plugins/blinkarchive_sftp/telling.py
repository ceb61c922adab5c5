"""What a server and the SSH library say, in the words of sinks, and without any secret in them."""

from __future__ import annotations

import asyncssh

from blinkarchive import SinkError, SinkFull, SinkUnavailable
from blinkarchive.secret import Secret, redact

MISSING = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory)
"""Nothing stands under this name; a part of the way may be missing, or be a file."""

LOST = (
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.DisconnectError,
    asyncssh.ChannelOpenError,
    OSError,
    EOFError,
)
"""The connection is of no more use."""

TROUBLE = (asyncssh.Error, OSError, EOFError)
"""Everything that a call of the SSH library raises."""

_FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
_FULL_WORDS = ("no space", "disk full", "disk is full", "filesystem full", "quota", "enospc", "edquot")
_DENIED = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect, asyncssh.SFTPCannotDelete)
_LONGEST = 300
_LONGEST_NAME = 60


class TurnedAway(SinkUnavailable):
    """The server is another than before, or does not let us in: trying again at once would change nothing, or lock us out."""


class Teller:
    """Speaks of one server. It knows the secrets that a server might repeat in its answers."""

    def __init__(self, address: str, secrets: tuple[Secret, ...] = ()) -> None:
        self.address = address
        self._secrets = secrets

    def words(self, error: BaseException) -> str:
        """What an error says, on one line, not too long, without secrets."""
        said = str(getattr(error, "reason", "") or getattr(error, "strerror", None) or error) or type(error).__name__
        return redact(" ".join(said.split())[:_LONGEST], *self._secrets)

    def of(self, error: BaseException, what: str) -> SinkError:
        """The sink's error for what was raised while we did something: "store porch/1.mp4"."""
        start = f"{self.address}: cannot {what}"
        said = self.words(error)
        if is_full(error):
            return SinkFull(f"{start}: {said}")
        if isinstance(error, LOST):
            return SinkUnavailable(f"{start}: the connection was lost ({said})")
        if isinstance(error, _DENIED):
            return SinkUnavailable(f"{start}: permission denied ({said})")
        if isinstance(error, MISSING):
            return SinkUnavailable(f"{start}: what should be there is missing ({said})")
        if isinstance(error, asyncssh.SFTPBadMessage | asyncssh.SFTPInvalidFilename | asyncssh.SFTPInvalidParameter):
            return SinkError(f"{start}: the server does not understand it, or does not take the name ({said})")
        return SinkUnavailable(f"{start}: the server says only: {said}")


def printable(name: bytes) -> str:
    """A name of the server as it may be shown: short, and without what a terminal would obey."""
    text = name.decode(errors="replace")[:_LONGEST_NAME]
    return "".join(character if character.isprintable() else "?" for character in text)


def is_full(error: BaseException) -> bool:
    """Whether a server says in so many words that there is no room. OpenSSH does not."""
    if isinstance(error, _FULL):
        return True
    return isinstance(error, asyncssh.SFTPFailure) and any(word in error.reason.lower() for word in _FULL_WORDS)
