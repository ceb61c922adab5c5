"""What must never be shown: a value that hides itself, and the filter that every text for people passes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote_plus
from weakref import WeakValueDictionary

HIDDEN = "***"

LONGEST = 20_000
"""How many characters of a text are processed. A longer one comes from a server or a plugin, and nobody reads it to its end."""

_MARGIN = 4_096
"""How much of the end of a cut text is left out, in characters: the cut may go through a secret, which is not recognised then."""

_SHORTEST = 6
"""A secret of fewer characters is not looked for, unless it is named: it would be found in many texts at random."""

_SHORT = 12
"""A secret of fewer characters is hidden only where it is a word of its own: as a part of other words it says nothing."""


class Secret:
    """A password, a token, a code. It shows as `***` everywhere but through `reveal()`.

    As long as it exists, `redact` hides its value in every text.
    """

    __slots__ = ("__weakref__", "_forms", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._forms: re.Pattern[str] | None = None
        _in_use[id(self)] = self

    def reveal(self) -> str:
        """The value itself: call this only where it goes onto the wire or into its own 0600 file."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not pickled")

    @property
    def forms(self) -> re.Pattern[str]:
        """Finds the value in a text, as it is and as JSON, Python and addresses write it; nothing, where it is too short."""
        if self._forms is None and len(self._value) < 4:
            self._forms = _NOTHING
        if self._forms is None:
            spellings = "|".join(re.escape(form) for form in _spellings(self._value))
            self._forms = re.compile(rf"(?<!\w)(?:{spellings})(?!\w)" if len(self._value) < _SHORT else spellings)
        return self._forms


_NOTHING = re.compile(r"(?!)")

_in_use: WeakValueDictionary[int, Secret] = WeakValueDictionary()
"""Every secret of this process, by its address."""


def _secrets_in_use() -> Iterator[Secret]:
    for reference in _in_use.valuerefs():  # a copy: other threads may add to the dictionary meanwhile
        if (secret := reference()) is not None and len(secret.reveal()) >= _SHORTEST:
            yield secret


# What a key is called whose value is a secret. The vague ones mean other things as well: "code: 307", "token: expired".
_SURE = (
    r"(?:proxy-)?authorization|token[-_]auth|(?:set-)?cookie|2fa(?:[-_]code)?|otp|csrf|code_verifier|api[-_]?key"
    r"|x-amz-(?:signature|credential)|[\w-]{0,40}(?:password|passwd|passphrase|[-_]token|[-_]secret|secret[-_]\w{0,20}key)"
)
_VAGUE = r"token|code|pin|pass|secret|sig|signature"
_KEY = rf"(?<![\w-])(?:(?P<sure>{_SURE})|(?P<vague>{_VAGUE}))(?![\w-])"

# The forms a secret is met in, by how its key and its value are told apart.
_QUOTED = rf"""(?P<keep>{_KEY}(?:["']?\s*[:=]\s*|["']\s*,\s*)[bu]?(?P<quote>["']))(?P<value>(?:\\.|(?!(?P=quote))[^\\])*)"""
_QUOTED_TWICE = rf"""(?P<keep>{_KEY}\\+["']\s*[:,]\s*\\+["'])(?P<value>[^\\"']*)"""
_COOKIES = r"""(?P<keep>(?<![\w-])(?:set-)?cookie\s*[:=]\s*)(?P<value>[^\s=;"']{1,256}=[^"'\n]*)"""
_BARE = (
    rf"""(?P<keep>{_KEY}(?P<end>["']?)\s*(?P<sign>[:=])\s*)(?P<value>(?:(?:bearer|basic|digest)\s+)?[^\s"'&;,<>(){{}}\[\]]+)"""
)
_BEARER = r"(?P<keep>\b(?:(?-i:Bearer)|bearer(?=\s+(?:\S*\d|\S{16})))\s+)(?P<value>[A-Za-z0-9._~+/=-]+)"
_KEYED = tuple(re.compile(form, re.IGNORECASE | re.DOTALL) for form in (_QUOTED, _QUOTED_TWICE, _COOKIES, _BARE, _BEARER))

# What is a secret wherever it stands: tokens, sign-in codes, the password in an address, e-mail addresses.
_ANYWHERE = re.compile(
    r"(?:AGE-SECRET-KEY-[A-Z0-9-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}"
    r"|(?<=\bcode )\d{6}\b|(?<=\bcode is )\d{6}\b|(?<=\bpin )\d{6}\b"
    r"|(?<=://)[^/\s@:]{1,64}:[^/\s@]{1,256}(?=@)"
    # but for the names of algorithms, which SSH writes alike: aes256-gcm@openssh.com
    r"|\b[A-Za-z0-9._%+-]{1,64}(?:@(?!openssh\.com\b|libssh\.org\b)|%40)(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]{1,62}\b)",
    re.IGNORECASE,
)

_NO_SECRET = re.compile(r"(?:\*+|null|none|true|false)?", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[^\n\t\x20-\x7e]")


def redact(text: str, *known: Secret) -> str:
    """A text without secrets: those in use (`known` among them), and everything that looks like one, are replaced by `***`;
    control characters are escaped.

    Of a text of more than `LONGEST` characters only the beginning is processed and returned. Numbers of Blink's own, as in
    `"code":307`, and words in prose stay.
    """
    shown = text[:LONGEST]
    for secret in {*known, *_secrets_in_use()}:
        shown = secret.forms.sub(HIDDEN, shown)
    for pattern in _KEYED:
        shown = pattern.sub(_hide, shown)
    shown = _UNPRINTABLE.sub(_escape, _ANYWHERE.sub(HIDDEN, shown))
    return shown if len(text) <= LONGEST else f"{shown[:-_MARGIN]} … (cut: {len(text):,} characters)"


def is_keyed_secret(key: str, value: str) -> bool:
    """Whether the value is a secret by the name of its key, or a text with such keys in it: `url=…,pass=…`."""
    return any(pattern.sub(_hide, text) != text for text in (f'{key} = "{value}"', value) for pattern in _KEYED)


def _spellings(value: str) -> list[str]:
    """A secret as it may be written, the longest first."""
    spellings = {value, json.dumps(value)[1:-1], repr(value)[1:-1]}
    spellings |= {
        quote_plus(value, safe=safe, errors="replace").replace("+", space) for safe in ("", "/") for space in ("+", "%20")
    }
    return sorted(spellings, key=len, reverse=True)


def _hide(found: re.Match[str]) -> str:
    groups, value = found.groupdict(), found["value"]
    if _NO_SECRET.fullmatch(value):
        return found[0]
    in_prose = groups.get("sign") == ":" and not groups.get("end")
    if groups.get("vague") and _is_harmless(value, in_prose=in_prose):
        return found[0]
    return groups["keep"] + HIDDEN


def _is_harmless(value: str, *, in_prose: bool) -> bool:
    """Whether what stands after a vague key is no secret: one of Blink's numbers, or a word in prose."""
    return bool(re.fullmatch(r"\d{1,5}[.]?", value)) or (in_prose and len(value) < 16 and not re.search(r"\d", value))


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    return f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}"
