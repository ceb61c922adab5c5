"""Which names a bucket takes: keys, their types, and what the probe keeps for itself."""

import re

from blinkarchive import BadKey, keys

LONGEST_NAME = 1024
"""In bytes of UTF-8; the folder of the sink counts."""

PROBE = ".blinkarchive-probe-s3"
WRONG_PROBE = f"{PROBE}-wrong"
SIZE_PROBE = f"{PROBE}-size"
"""What the probe may leave in a bucket where nothing can be deleted. They are no objects of the archive."""

_MARK = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_TYPES = {
    "mp4": "video/mp4",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "txt": "text/plain; charset=utf-8",
}


def check(key: str, folder: str = "") -> str:
    """The name of an object in the bucket: the key below the sink's folder. Raises `BadKey`."""
    if reason := _why_not(key, folder):
        raise BadKey(f"{key!r} cannot be a key: {reason}")
    return folder + key


def is_key(key: str) -> bool:
    """Whether something in the bucket may be an object of the archive: folders that a console made are none, nor are probes."""
    return not _why_not(key, "")


def is_marked(key: str) -> bool:
    """Whether a name has the mark that every clip of the archive has in the last part of its name."""
    return is_key(key) and _MARK.search(key.rpartition("/")[2]) is not None


def type_of(key: str) -> str:
    """The media type that a name's ending stands for."""
    return _TYPES.get(key.rpartition(".")[2].lower(), "application/octet-stream")


def _why_not(key: str, folder: str) -> str:
    for part in key.split("/"):
        if reason := keys.why_not(part, lambda _: False):  # a put is whole or nothing: there are no drafts
            return reason
    if len((folder + key).encode()) > LONGEST_NAME:
        return f"with the prefix it is longer than {LONGEST_NAME} bytes"
    return "that is how probes are called here" if key in (PROBE, WRONG_PROBE, SIZE_PROBE) else ""
