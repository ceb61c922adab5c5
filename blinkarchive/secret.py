"""What must never be shown: a value that hides itself, and the last broom over texts for people."""

from __future__ import annotations

import json
import re
from urllib.parse import quote_plus

HIDDEN = "***"


class Secret:
    """A password, a token, a code. It shows as `***` everywhere but through `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

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


# What a key is called whose value is a secret. The vague ones mean other things as well: "code: 307", "token: expired".
_SURE = (
    r"(?:proxy-)?authorization|token[-_]auth|(?:set-)?cookie|2fa(?:[-_]code)?|otp|csrf|code_verifier|api[-_]?key"
    r"|x-amz-(?:signature|credential)|[\w-]{0,40}(?:password|passwd|passphrase|[-_]token|[-_]secret|secret[-_]\w{0,20}key)"
)
_VAGUE = r"token|code|pin|secret|sig|signature"
_KEY = rf"(?<![\w-])(?:(?P<sure>{_SURE})|(?P<vague>{_VAGUE}))(?![\w-])"

# The forms a secret is met in, by how its key and its value are told apart.
_QUOTED = rf"""(?P<keep>{_KEY}(?:["']?\s*[:=]\s*|["']\s*,\s*)[bu]?(?P<quote>["']))(?P<value>(?:\\.|(?!(?P=quote))[^\\])*)"""
_QUOTED_TWICE = rf"""(?P<keep>{_KEY}\\+["']\s*[:,]\s*\\+["'])(?P<value>[^\\"']*)"""
_COOKIES = r"""(?P<keep>(?<![\w-])(?:set-)?cookie\s*[:=]\s*)(?P<value>[^\s=;"']+=[^"'\n]*)"""
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
    r"|\b[A-Za-z0-9._%+-]{1,64}(?:@|%40)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+\b)",
    re.IGNORECASE,
)

_NO_SECRET = re.compile(r"(?:\*+|null|none|true|false)?", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[^\n\t\x20-\x7e]")


def redact(text: str, *known: Secret) -> str:
    """A text with known secrets, and whatever looks like one, replaced by `***`; control characters are escaped.

    Numbers of Blink's own, as in `"code":307`, and words in prose stay.
    """
    for secret in known:
        for form in _forms(secret.reveal()):
            text = text.replace(form, HIDDEN)
    for pattern in _KEYED:
        text = pattern.sub(_hide, text)
    text = _ANYWHERE.sub(HIDDEN, text)
    return _UNPRINTABLE.sub(_escape, text)


def _forms(value: str) -> tuple[str, ...]:
    """A secret as it may be written, the longest first; nothing for one so short that it would be found by chance."""
    if len(value) < 4:
        return ()
    forms = {value, json.dumps(value)[1:-1], repr(value)[1:-1]}
    forms |= {quote_plus(value, safe=safe, errors="replace").replace("+", space) for safe in ("", "/") for space in ("+", "%20")}
    return tuple(sorted(forms, key=len, reverse=True))


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
