"""One request and its answer, as values: what the flows of `login` are made of, and `http` carries out."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar
from urllib.parse import quote, urlencode

from blinkarchive import __version__
from blinkarchive.blink.endpoints import Origin, check_target, target_on
from blinkarchive.errors import ServerTrouble
from blinkarchive.secret import Secret

T = TypeVar("T")

AGENT = f"blinkarchive/{__version__}"
"""The name of this program, for requests that carry a token or nothing at all. An app version has no place there: once Blink has
retired it, each request with it is answered 426.
"""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_HOPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to one origin. `target` is its path and query, escaped, and goes out letter for letter."""

    method: str
    origin: Origin
    target: str
    #: What it is for, in words: "the list of clips". Errors begin with it.
    what: str
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    #: A form's fields, or the text of a JSON document; at most one of the two.
    form: Sequence[tuple[str, str | Secret]] | None = None
    json: bytes | None = None
    #: It only adds to what other requests are for: its refusals hold up requests of its own kind, and no others.
    detail: bool = False
    #: Whether it goes to another server than Blink's (see `elsewhere`): then it has no credentials.
    elsewhere: bool = False

    def __post_init__(self) -> None:
        if not self.elsewhere:
            check_target(self.target)

    @property
    def body(self) -> bytes | None:
        """The bytes to send, secrets revealed."""
        if self.form is None:
            return self.json
        return urlencode([(name, shown(value)) for name, value in self.form], quote_via=quote).encode("ascii")

    def to(self, address: str) -> Request:
        """The same request for another address on the same origin. Raises `ForeignHost` when it leads elsewhere."""
        return replace(self, target=target_on(self.origin, address))

    def with_headers(self, **headers: str | Secret) -> Request:
        """The same request with more headers; "_" in a name stands for "-"."""
        return replace(self, headers={**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. Its body may hold tokens, so it does not show it."""

    status: int
    #: Names in lower case; of a name that came twice, the last.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: The `Set-Cookie` headers, in order.
    cookies: Sequence[str] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def location(self) -> str:
        """Where a redirect leads. Raises `ServerTrouble` when it does not say."""
        try:
            return self.headers["location"]
        except KeyError:
            raise ServerTrouble(f"a redirect (HTTP {self.status}) that leads nowhere", status=self.status) from None

    @property
    def type(self) -> str:
        """The media type, in lower case without parameters; "" when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


Flow: TypeAlias = Generator[Request, Answer, T]
"""A conversation that yields requests, is sent their answers, and returns what it was for. It does no I/O itself."""


def shown(value: str | Secret) -> str:
    """The value that goes onto the wire."""
    return value.reveal() if isinstance(value, Secret) else value
