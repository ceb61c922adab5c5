"""A scripted server on loopback: it records every request as it came, and answers what the test says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer. `raw` is sent instead of all else, byte for byte, and then the connection is closed."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None
    #: Hold the connection open after `raw`, instead of closing it.
    hang: bool = False
    #: After `raw`, send one byte in so many seconds, for ever.
    drip: float | None = None

    def encoded(self) -> bytes:
        if self.raw is not None:
            return self.raw
        names = {name.lower() for name, _ in self.headers}
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in self.headers)]
        if "content-length" not in names and "transfer-encoding" not in names:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    """An answer in JSON."""
    given = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return Reply(status=status, body=json.dumps(value).encode(), headers=(("Content-Type", "application/json"), *given))


def film(data: bytes) -> Reply:
    return Reply(body=data, headers=(("Content-Type", "video/mp4"),))


Answerer = Callable[[Seen], Reply | Awaitable[Reply]]


@dataclass
class Server:
    """Answers by path; the query counts only where it is part of the route's name. What has no route is a 404."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    routes: dict[str, Reply | Answerer] = field(default_factory=dict)

    def to(self, path: str, method: str = "") -> list[Seen]:
        """The requests that came for a path."""
        return [one for one in self.seen if one.target.partition("?")[0] == path and method in ("", one.method)]

    async def _answer(self, request: Seen) -> Reply:
        path = request.target.partition("?")[0]
        for name in (f"{request.method} {path}", path, "*"):
            route = self.routes.get(name)
            if isinstance(route, Reply):
                return route
            if route is not None:
                reply = route(request)
                return reply if isinstance(reply, Reply) else await reply
        return Reply(status=404)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = first.split(" ", 2)
                request = Seen(method=method, target=target, headers=headers, body=body, raw=head + body)
                self.seen.append(request)
                reply = await self._answer(request)
                writer.write(reply.encoded())
                await writer.drain()
                while reply.drip is not None:
                    await asyncio.sleep(reply.drip)
                    writer.write(b"x")
                    await writer.drain()
                if reply.hang:
                    await reader.read()
                if reply.raw is not None:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server | None = None) -> AsyncIterator[Server]:
    """A server that answers while the block lasts."""
    server = server or Server()
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await server.talk(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            tasks.discard(task)

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


ACCOUNT = 123456
TIER = "/api/v1/users/tier_info"
CHANGED = f"/api/v1/accounts/{ACCOUNT}/media/changed"
HOMESCREEN = f"/api/v3/accounts/{ACCOUNT}/homescreen"
CALLBACK = "immedia-blink://applinks.blink.com/signin/callback"
CLIP = "/api/v2/accounts/123456/media/clip/77.mp4"

SIGN_IN_PAGE = b"""<!doctype html><html><head><title>Sign in</title></head><body>
<script id="oauth-args" type="application/json">{"locale":"en","csrf-token":"csrf-canary-1"}</script></body></html>"""


class Cloud(Server):
    """A Blink that is well: one account, tokens that count up, no sign-in code unless `code` is set."""

    password = "correct horse battery"
    code: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.issued = 0
        #: The access and the refresh token that are good now.
        self.access = ""
        self.refresh = ""
        self.expires_in: object = 14400
        self.routes.update(
            {
                "GET /oauth/v2/authorize": self._authorize,
                "GET /oauth/v2/signin": self._page,
                "POST /oauth/v2/signin": self._sign_in,
                "POST /oauth/v2/2fa/verify": self._verify,
                "POST /oauth/token": self._token,
                TIER: self.guarded(as_json({"tier": "e008", "account_id": ACCOUNT})),
                CHANGED: self.guarded(as_json({"limit": 25, "media": []})),
                CLIP: self.guarded(film(b"the bytes of a clip")),
            }
        )

    def guarded(self, reply: Reply | Answerer) -> Answerer:
        """An answer for those who show the newest token."""

        async def answer(request: Seen) -> Reply:
            if request.headers.get("authorization") != f"Bearer {self.access}":
                return as_json({"message": "Unauthorized Access", "code": 101}, 401)
            if isinstance(reply, Reply):
                return reply
            given = reply(request)
            return given if isinstance(given, Reply) else await given

        return answer

    def _authorize(self, request: Seen) -> Reply:
        if "?" in request.target:
            headers = (("Location", "/oauth/v2/signin"), ("Set-Cookie", "session=cookie-canary-1; Path=/; HttpOnly"))
            return Reply(status=302, headers=headers)
        if "signed=cookie-canary-2" not in request.headers.get("cookie", ""):
            return Reply(status=302, headers=(("Location", "/oauth/v2/signin"),))
        return Reply(status=302, headers=(("Location", f"{CALLBACK}?code=code-canary-1&state=x"),))

    def _page(self, request: Seen) -> Reply:
        return Reply(body=SIGN_IN_PAGE, headers=(("Content-Type", "text/html; charset=utf-8"),))

    def _sign_in(self, request: Seen) -> Reply:
        if "session=cookie-canary-1" not in request.headers.get("cookie", ""):
            return as_json({"error": "bad_request", "error_cause": "empty_cookies", "error_description": "Empty."}, 400)
        if request.form["password"] != self.password or request.form["csrf-token"] != "csrf-canary-1":
            return as_json({"error": "unauthorized"}, 401)
        if self.code:
            return as_json({"tsv_state": "sms", "tsv_methods": ["sms"], "phone": "+61xxxxxxxx40", "user_id": 1}, 202)
        return self._let_in("/oauth/v2/authorize")

    def _verify(self, request: Seen) -> Reply:
        if "session=cookie-canary-1" not in request.headers.get("cookie", ""):
            return as_json({"error": "bad_request", "error_cause": "empty_cookies"}, 400)
        if request.form["2fa_code"] != self.code:
            return as_json({"error": "Verification Code is invalid or expired"}, 400)
        cookie = ("Set-Cookie", "signed=cookie-canary-2; Path=/")
        return Reply(status=201, body=b'{"status":"auth-completed"}', headers=(cookie,))

    def _let_in(self, where: str) -> Reply:
        return Reply(status=302, headers=(("Location", where), ("Set-Cookie", "signed=cookie-canary-2")))

    def _token(self, request: Seen) -> Reply:
        form = request.form
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh:
            return as_json({"error": "invalid_grant"}, 400)
        return self.grant()

    def grant(self) -> Reply:
        self.issued += 1
        self.access, self.refresh = f"access-canary-{self.issued}", f"refresh-canary-{self.issued}"
        return as_json(
            {
                "access_token": self.access,
                "refresh_token": self.refresh,
                "expires_in": self.expires_in,
                "token_type": "Bearer",
                "scope": "client",
            }
        )

    @property
    def refreshes(self) -> int:
        return sum(one.form["grant_type"] == "refresh_token" for one in self.to("/oauth/token"))

    @property
    def sign_ins(self) -> int:
        return len(self.to("/oauth/v2/signin", "POST"))


def canaries(text: str) -> list[str]:
    """The secrets of this cloud that a text shows."""
    return re.findall(r"\w+-canary-\d+|correct horse battery|owner@example\.org", text)
