"""The sign-in page: where its csrf token stands.

The page comes from a server and may be anything, so the work is bounded: at most `LARGEST` bytes are read, each of them once.
(The HTML parser of some Python versions in use takes half a minute for 50 kB of unfinished tags.)
"""

from __future__ import annotations

import html
import re

import msgspec

LARGEST = 512 * 1024
"""How many bytes of the page are read. Blink's page has some 30,000."""

_TAG = re.compile(r"<(script|input|meta)\b([^<>]{0,2000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]{1,40})\s{0,10}=\s{0,10}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")


def csrf_token(page: bytes) -> str:
    """The csrf token: of the script `oauth-args`, else of a hidden field or a meta tag; "" when there is none."""
    text = page[:LARGEST].decode("utf-8", "replace")
    hidden, at = "", 0
    while tag := _TAG.search(text, at):
        at, attributes = tag.end(), _attributes(tag[2])
        if tag[1].lower() == "script":
            end = text.find("</script", at)
            content, at = (text[at:], len(text)) if end < 0 else (text[at:end], end)
            if attributes.get("id") == "oauth-args" and (token := _of_arguments(content)):
                return token
        elif attributes.get("name") == "csrf-token":
            hidden = hidden or attributes.get("value") or attributes.get("content") or ""
    return hidden


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): html.unescape(a or b or c) for name, a, b, c in _ATTRIBUTE.findall(text)}


def _of_arguments(script: str) -> str:
    try:
        token = msgspec.json.decode(script, type=dict[str, object]).get("csrf-token")
    except (msgspec.MsgspecError, RecursionError):
        return ""
    return token if isinstance(token, str) else ""
