"""The name of a clip in every sink: a pure function of the clip, its own mark always inside."""

from __future__ import annotations

import hashlib
import hmac
import string
import unicodedata
from datetime import UTC, datetime

from blinkarchive.errors import ConfigError
from blinkarchive.model import Clip, ClipId, Key
from blinkarchive.secret import Secret

DEFAULT_TEMPLATE = "{camera}/{date:%Y/%m/%d}/{camera}_{date:%Y%m%dT%H%M%SZ}_{key}.mp4"

CATALOG = "catalog/"
DAMAGED = "damaged/"
"""Where a sink has clips that Blink itself has only damaged."""
"""Where catalogues live in a sink; no clip's name begins like this."""

SEALED = ".age"
"""How the names of encrypted objects end."""

_LONGEST_PART = 48
_LONGEST_COMPONENT = 255
_LONGEST_KEY = 1024
_FIELDS = ("account", "camera", "date", "key", "network", "source", "trigger")
_RESERVED = {
    "con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10)), CATALOG.rstrip("/"),
}  # fmt: skip


def mark(clip: ClipId) -> str:
    """What tells a clip's file from every other: the first 16 hex digits of the SHA-256 of its id."""
    return hashlib.sha256(clip.encode()).hexdigest()[:16]


def slug(name: object, otherwise: str = "camera") -> str:
    """A name as part of a path: letters and digits of any script, lower case, "-" for all else, at most 48 bytes.

    Never empty, never a name that Windows reserves, never with a dot or a separator. Names are decoration: two of them
    may look the same here, which is why a clip's mark is always in its file name.
    """
    if not isinstance(name, str):
        return otherwise
    kept = "".join(c if c.isalnum() and ord(c) <= 0xFFFF else "-" for c in unicodedata.normalize("NFKC", name[:400]).casefold())
    text = unicodedata.normalize("NFC", "-".join(part for part in kept.split("-") if part))
    text = text.encode()[:_LONGEST_PART].decode(errors="ignore").strip("-")
    if not text or text in _RESERVED:
        text = f"{otherwise}-{text}".strip("-")
    return text


class Namer:
    """Names clips by a template such as `DEFAULT_TEMPLATE`.

    The fields are `{camera} {network} {account} {source} {trigger} {key}`, and `{date:…}` with the letters of `strftime`, in UTC.
    `key` is the clip's mark and must be in the last part. Raises `ConfigError` for a template that could give a bad name.
    """

    def __init__(self, template: str = DEFAULT_TEMPLATE) -> None:
        self._template = template
        for _, field, spec, conversion in self._parts():
            if field is None:
                continue
            if field not in _FIELDS or conversion:
                raise ConfigError(f"{{{field}}} is not a field of a name; the fields are {', '.join(_FIELDS)}")
            if spec and field != "date":
                raise ConfigError(f"{{{field}:{spec}}}: only {{date:…}} takes a format")
        if "{key}" not in template.rpartition("/")[2]:
            raise ConfigError(f"a name must hold {{key}} in its last part, or two clips could have one name: {template!r}")
        longest = {name: "x" * _LONGEST_PART for name in _FIELDS if name != "date"}
        _check(self._fill(longest, datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)), template)

    def __call__(self, clip: Clip) -> Key:
        """The clip's name."""
        words = {
            "account": slug(clip.account, "account"),
            "camera": slug(clip.camera),
            "key": mark(clip.id),
            "network": slug(clip.network, "network"),
            "source": clip.source.value,
            "trigger": slug(clip.trigger, "clip"),
        }
        return Key(self._fill(words, clip.recorded_at.astimezone(UTC)))

    def _parts(self) -> list[tuple[str, str | None, str | None, str | None]]:
        try:
            return list(string.Formatter().parse(self._template))
        except ValueError as error:
            raise ConfigError(f"not a template for names: {self._template!r}: {error}") from error

    def _fill(self, words: dict[str, str], date: datetime) -> str:
        text = []
        for literal, field, spec, _ in self._parts():
            text.append(literal)
            if field == "date":
                text.append(date.strftime(spec or "%Y%m%dT%H%M%SZ"))
            elif field is not None:
                text.append(words[field])
        return "".join(text)


def _check(name: str, template: str) -> None:
    parts = name.split("/")
    if not name.endswith(".mp4"):
        raise ConfigError(f"a name must end in .mp4: {template!r}")
    if name.startswith((CATALOG, ".")) or any(part in ("", ".", "..") or part != part.strip() for part in parts):
        raise ConfigError(f"a name must be a relative path, and begin neither with {CATALOG!r} nor with a dot: {template!r}")
    if any(not c.isprintable() or c in '\\:*?"<>|' for c in name):
        raise ConfigError(f'a name must not hold any of \\ : * ? " < > |: {template!r}')
    if len(name.encode()) > _LONGEST_KEY or any(len(part.encode()) > _LONGEST_COMPONENT for part in parts):
        raise ConfigError(f"a part of the name may grow longer than {_LONGEST_COMPONENT} bytes: {template!r}")


def opaque_name(key: Key, secret: Secret) -> Key:
    """A name for the encryption of a clip: the same each time, and it tells nothing to whom the secret is unknown."""
    digits = hmac.digest(secret.reveal().encode(), key.encode(), "sha256").hex()[:32]
    return Key(f"{digits[:2]}/{digits}{SEALED}")


def second_name(key: Key, sha256: str, nth: int = 1) -> Key:
    """A name for a clip whose own name is taken by other bytes: all of them are kept. `nth` tells several from each other."""
    stem, _, suffix = key.rpartition(".")
    return Key(f"{stem}.conflict-{sha256[:8]}{f'-{nth}' if nth > 1 else ''}.{suffix}")
