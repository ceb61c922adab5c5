"""Every error this package raises, as one tree.

BlinkArchiveError
├── Transient                   the same call may succeed later: the only thing `retry` repeats
├── Unavailable                 the other side as a whole is away: no fault of the clip in hand, so no try of it
├── ConfigError                 what the owner wrote cannot be used
├── CannotDecrypt               what is encrypted is for others, or is not whole
│   └── NoIdentity              there is no key to open it with
├── PluginError                 a plugin cannot be loaded, or broke its contract
├── ArchiveError                the archive's own state
│   ├── ArchiveBusy             another run holds the archive
│   ├── NothingArchived         there is no index to read yet
│   ├── IndexUnusable           the index is newer than this program, damaged, or of another archive
│   └── SpoolFull               no room for clips on their way (Unavailable)
├── SourceError                 what a Blink server said, or failed to say
│   ├── LoginNeeded             a person has to sign in (Unavailable)
│   │   ├── NotSignedIn         no sign-in is saved, or one at other servers
│   │   ├── WrongPassword
│   │   ├── CodeNeeded          the password was right; a 2FA code is wanted
│   │   ├── WrongCode
│   │   ├── TokenRevoked
│   │   ├── OtherAccount        the sign-in is of another user or Blink account than it should be
│   │   ├── LoginHeldBack       our own brake: at most one unattended attempt an hour
│   │   └── LoginLimit          the lock-out answer: the account refuses sign-ins for an hour
│   ├── Refused                 the server will not have this client: never repeated (Unavailable)
│   │   ├── ClientRefused       406 at the edge
│   │   └── UpdateRequired      426
│   ├── Unauthorized            401 on a request with a token (refresh once, repeat once)
│   ├── Forbidden               403: this address is not ours to fetch
│   ├── ClipGone                404 or code 700: the clip is no longer there
│   ├── ForeignHost             an address outside the allowed hosts
│   ├── Unreachable             no connection, no answer (Unavailable, Transient)
│   ├── Throttled               429, 403 outside media (Unavailable, Transient)
│   ├── Busy                    409: one command at a time (Transient)
│   ├── CommandFailed           a device accepted something, and could not do it
│   ├── CommandUnfinished       a device accepted something, and has not done it in time (Transient)
│   ├── ModuleAway              a sync module is left alone for the rest of a run: no fault of the clip in hand
│   ├── ServerTrouble           5xx, or an answer that is not the one promised (Transient)
│   ├── BadClip                 bytes came, but they are not a whole MP4 (Transient)
│   ├── DamagedClip             the same bytes came twice, and they are not a whole MP4: Blink has no better ones
│   └── ListingIncomplete       a listing ended early: nothing may be concluded from what is absent
└── SinkError                   what a sink said
    ├── SinkUnavailable         offline, unmounted, unreachable (Unavailable, Transient)
    ├── SinkFull                no room (Unavailable)
    ├── SinkClosed              left alone for the rest of a run (Unavailable)
    ├── AlreadyThere            the key exists: nothing was written
    ├── NotFound                no such key
    ├── BadKey                  not a name a sink accepts
    └── CopyDiffers             what the sink holds is not what was put (Transient)

An error without a message speaks with the first line of its docstring.
"""

from __future__ import annotations

from collections.abc import Iterator

from blinkarchive.secret import redact


class BlinkArchiveError(Exception):
    """Something blinkarchive could not do. Its text shows no secret, whatever a server or a plugin has put into it."""

    def __str__(self) -> str:
        return redact(super().__str__()) or (type(self).__doc__ or type(self).__name__).splitlines()[0]


class Transient(BlinkArchiveError):
    """The same call may succeed later.

    `retry_after` is what the other side asked us to wait, in seconds, when it said so.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(BlinkArchiveError):
    """The other side as a whole is away; the clip in hand is not at fault."""


class ConfigError(BlinkArchiveError):
    """The configuration cannot be used."""


class CannotDecrypt(BlinkArchiveError):
    """What is encrypted cannot be opened."""


class NoIdentity(CannotDecrypt):
    """It is encrypted: --identity FILE names a key that opens it."""


class PluginError(BlinkArchiveError):
    """A plugin cannot be loaded, or broke its contract."""


class ArchiveError(BlinkArchiveError):
    """The archive's own state stands in the way."""


class ArchiveBusy(ArchiveError):
    """Another run holds this archive."""


class NothingArchived(ArchiveError):
    """Nothing has been archived yet."""


class IndexUnusable(ArchiveError):
    """The index cannot be used as it is."""


class SpoolFull(ArchiveError, Unavailable):
    """The disk that holds the spool has no room."""


class SourceError(BlinkArchiveError):
    """What a Blink server said, or failed to say.

    `status` is the HTTP status and `code` Blink's own code from the body, each None when there was none.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        BlinkArchiveError.__init__(self, message)
        self.retry_after = retry_after
        self.status = status
        self.code = code


class LoginNeeded(SourceError, Unavailable):
    """A person has to sign in: run `blinkarchive login`."""


class NotSignedIn(LoginNeeded):
    """Nobody has signed in yet: run `blinkarchive login`."""


class WrongPassword(LoginNeeded):
    """Blink refused the user name or the password."""


class CodeNeeded(LoginNeeded):
    """Blink sent a sign-in code and waits for it: run `blinkarchive login --code CODE`."""


class WrongCode(LoginNeeded):
    """Blink refused the sign-in code; it can be tried again."""


class TokenRevoked(LoginNeeded):
    """Blink no longer accepts the saved sign-in."""


class OtherAccount(LoginNeeded):
    """The sign-in is of another user, or another Blink account, than the config and the archive name."""


class LoginHeldBack(LoginNeeded):
    """An unattended sign-in was tried less than an hour ago; the next one waits, so that Blink does not lock the account."""


class LoginLimit(LoginNeeded):
    """Blink refuses sign-ins for this account for now (too many attempts); wait an hour before the next one."""


class Refused(SourceError, Unavailable):
    """Blink refuses this client; trying again would not help."""


class ClientRefused(Refused):
    """Blink's edge refused this client (HTTP 406)."""


class UpdateRequired(Refused):
    """Blink has retired this call (HTTP 426): a newer blinkarchive is needed."""


class Unauthorized(SourceError):
    """Blink did not accept the access token (HTTP 401)."""


class Forbidden(SourceError):
    """Blink refused this address (HTTP 403)."""


class ClipGone(SourceError):
    """The clip is no longer in the cloud."""


class ForeignHost(SourceError):
    """The address leads to a host that is not allowed."""


class Unreachable(SourceError, Unavailable, Transient):
    """Blink could not be reached."""


class Throttled(SourceError, Unavailable, Transient):
    """Blink asks for a pause (too many requests)."""


class Busy(SourceError, Transient):
    """The sync module works on another command (HTTP 409)."""


class CommandFailed(SourceError):
    """A device accepted what it was asked to do, and could not do it."""


class CommandUnfinished(SourceError, Transient):
    """A device accepted what it was asked to do, and has not done it in time."""


class ModuleAway(SourceError):
    """The sync module is left alone for the rest of the run."""


class ServerTrouble(SourceError, Transient):
    """Blink answered with a passing fault."""


class BadClip(SourceError, Transient):
    """What came is not a whole clip."""


class DamagedClip(SourceError):
    """The same bytes came twice, and they are not a whole clip: Blink has no better ones."""


class ListingIncomplete(SourceError):
    """The listing ended before its end; nothing is concluded from what it lacks."""


class SinkError(BlinkArchiveError):
    """What a sink said."""


class SinkUnavailable(SinkError, Unavailable, Transient):
    """The sink is offline."""


class SinkFull(SinkError, Unavailable):
    """The sink has no room."""


class SinkClosed(SinkError, Unavailable):
    """The sink is left alone for the rest of the run."""


class AlreadyThere(SinkError):
    """The sink holds an object under this key already; nothing was written."""


class NotFound(SinkError):
    """The sink holds no object under this key."""


class BadKey(SinkError):
    """The name cannot be a key."""


class CopyDiffers(SinkError, Transient):
    """What the sink holds is not what was put."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside groups of errors."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def is_ours(error: BaseException) -> bool:
    """Whether the message of an error is written for people."""
    return all(isinstance(one, BlinkArchiveError | OSError) for one in leaves(error))
