"""Which names go to a remote: keys and their parts, our drafts, and the remote itself as it may be shown."""

import re
import secrets
import time
from collections.abc import Sequence

from blinkarchive import keys

ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which a draft is taken for a killed run's. The time it was begun is in its name, as clocks of remotes differ."""

_DRAFT = re.compile(r"\.blinkarchive-(?P<time>[0-9a-f]{8})[0-9a-f]{16}\.part")
_GIVEN = r"""(?:'(?:[^']|'')*'|"(?:[^"]|"")*"|[^:'"])*"""
_PARAMETERS = re.compile(rf"(?P<name>[^/,:]*|:[^/,:]+),(?P<given>{_GIVEN}):(?P<path>.*)", re.DOTALL)
_VALUE = re.compile(r"=(?:'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"|([^,]*))")


def draft_name(now: float | None = None) -> str:
    """A fresh name for a draft that is begun now."""
    return f".blinkarchive-{int(time.time() if now is None else now):08x}{secrets.token_hex(8)}.part"


def is_draft(name: str) -> bool:
    """Whether an object of this name is a draft of ours."""
    return _DRAFT.fullmatch(name) is not None


def is_abandoned(name: str, now: float) -> bool:
    """Whether it is a draft that no run can be writing any more."""
    found = _DRAFT.fullmatch(name)
    return found is not None and now - int(found["time"], 16) > ABANDONED_AFTER


def why_not(part: str) -> str:
    """Why a name cannot stand between the slashes of a key; "" when it can."""
    return keys.why_not(part, is_draft)


def parts_of(key: str) -> tuple[str, ...]:
    """The parts of a key: the folders, then the name. Raises `BadKey`."""
    return keys.parts_of(key, is_draft)


def folder_of(key: str) -> str:
    """What stands before the last slash of a key, or of the beginning of one; "" when there is none."""
    return key.rpartition("/")[0]


def shown(remote: str) -> str:
    """The remote as a person may see it: what a connection string carries along stays out, as it may be a password."""
    found = _PARAMETERS.fullmatch(remote)
    return remote if found is None else f"{found['name']},…:{found['path']}"


def strictly(remote: str) -> str:
    """The same remote of type crypt, as one that refuses to list a folder with names that its password does not decrypt."""
    found = re.match(r":?[^/,:]+(?=[,:])", remote)
    return f"{found[0]},strict_names=true{remote[found.end() :]}" if found else remote


def values_in(remote: str) -> Sequence[str]:
    """What a connection string carries along, to be hidden wherever it is met."""
    found = _PARAMETERS.fullmatch(remote)
    if found is None:
        return ()
    return [next((one for one in groups if one), "") for groups in _VALUE.findall(found["given"])]
