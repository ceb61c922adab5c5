"""Exit codes, and which error leads to which."""

from __future__ import annotations

from enum import IntEnum

from blinkarchive.errors import ArchiveBusy, ConfigError, LoginNeeded, leaves
from blinkarchive.model import RunEnd, RunReport


class Exit(IntEnum):
    """How a command ended. Scripts depend on these numbers; there may be more of them one day."""

    DONE = 0
    """All done."""
    ERROR = 1
    """An error."""
    USAGE = 2
    """The command line or the config cannot be used."""
    SOME_FAILED = 3
    """Some clips, deletions or sinks failed; what is stored is stored, and the next run tries again."""
    SIGN_IN = 4
    """An account needs a person to sign in: `blinkarchive login`."""
    BUSY = 5
    """Another run holds the archive."""
    DAMAGE = 6
    """A check found a damaged or missing copy."""
    STOPPED = 130
    """Stopped by a signal."""


_OF_RUN = {
    RunEnd.DONE: Exit.DONE,
    RunEnd.INCOMPLETE: Exit.SOME_FAILED,
    RunEnd.SOME_FAILED: Exit.SOME_FAILED,
    RunEnd.SIGN_IN: Exit.SIGN_IN,
    RunEnd.CRASHED: Exit.ERROR,
    RunEnd.STOPPED: Exit.STOPPED,
}


def exit_for(error: BaseException) -> Exit:
    """The code for an error; for several, that of the most telling one."""
    kinds = {_exit_for_one(one) for one in leaves(error)}
    return next(code for code in (Exit.USAGE, Exit.BUSY, Exit.SIGN_IN, Exit.ERROR) if code in kinds)


def exit_for_report(report: RunReport) -> Exit:
    """The code for a run that came to its end."""
    return _OF_RUN[report.ended]


def _exit_for_one(error: BaseException) -> Exit:
    match error:
        case ConfigError():
            return Exit.USAGE
        case ArchiveBusy():
            return Exit.BUSY
        case LoginNeeded():
            return Exit.SIGN_IN
        case _:
            return Exit.ERROR
