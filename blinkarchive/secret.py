"""What must never be shown: a value that hides itself, and the last broom over texts for people."""

from __future__ import annotations

import re

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


_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # header lines and their likes in reprs: Authorization: Bearer x, 'TOKEN-AUTH': 'x', Set-Cookie: a=b
        r"""(?P<keep>["']?\b(?:authorization|token[-_]auth|x-csrf-token|set-cookie|cookie|2fa-code)\b["']?\s*[:=]\s*)(?:bearer\s+)?["']?[^"'\s,;}]+(?:;[^"'\n}]*)?""",
        # keys of JSON, forms and queries
        r"""(?P<keep>["']?\b(?:access_token|refresh_token|token|password|2fa_code|csrf-token|code_verifier|code|pin|sig|x-amz-signature)\b["']?\s*[:=]\s*["']?)(?!\d{1,4}\b)[^"'\s,;&}]+""",
        r"(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/=-]+",
        r"(?P<keep>)\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}",
        r"(?P<keep>)\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\b",
    )
)


def redact(text: str, *known: Secret) -> str:
    """A text with known secrets, and whatever looks like one, replaced by `***`; control characters are escaped."""
    for secret in known:
        if len(secret.reveal()) >= 4:
            text = text.replace(secret.reveal(), HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<keep>{HIDDEN}", text)
    return "".join(c if c in "\n\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)
