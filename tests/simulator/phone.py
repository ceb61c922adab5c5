"""A phone app, as far as the simulator can tell: it signs in and asks, by what is publicly known of the protocol."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import aiohttp

from blinkarchive.simulator import Account, Running

HARDWARE_ID = "4A1F6E0C-93B7-4C52-8A7C-0B6A51D2E9F3"
REDIRECT_URI = "immedia-blink://applinks.blink.com/signin/callback"


class Phone:
    """One app on one device, with one cookie jar."""

    def __init__(self, http: aiohttp.ClientSession, running: Running, account: Account | None = None) -> None:
        self.http = http
        self.url = running.url
        self.account = account or running.world.account
        self.verifier = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        self.csrf = ""
        self.tokens: dict[str, Any] = {}

    @classmethod
    @asynccontextmanager
    async def switched_on(cls, running: Running, account: Account | None = None) -> AsyncIterator[Self]:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            yield cls(http, running, account)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and JSON body of a request with the token."""
        async with self.http.request(method, self.url + path, headers=self.bearer, **options) as response:
            return response.status, json.loads(await response.read())

    async def fetch(self, path: str) -> tuple[int, bytes]:
        """Status and body of a request with the token."""
        async with self.http.get(self.url + path, headers=self.bearer, allow_redirects=False) as response:
            return response.status, await response.read()

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"} if self.tokens else {}

    def opening(self, **changed: str) -> dict[str, str]:
        """The parameters of the first call."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        return {
            "app_brand": "blink",
            "app_version": "50.1",
            "client_id": "ios",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "device_brand": "Apple",
            "hardware_id": HARDWARE_ID,
            "redirect_uri": REDIRECT_URI,
            "response_type": "code",
            "scope": "client",
        } | changed

    async def begin(self, **changed: str) -> int:
        """Open the sign-in page and read its token. The status of the page."""
        async with self.http.get(f"{self.url}/oauth/v2/authorize", params=self.opening(**changed)) as response:
            page = await response.text()
            found = re.search(r'<script id="oauth-args" type="application/json">(.*?)</script>', page)
            if found:
                assert response.url.path == "/oauth/v2/signin"
                self.csrf = json.loads(found[1])["csrf-token"]
            return response.status

    async def post(self, path: str, **form: str) -> tuple[int, dict[str, Any], str | None]:
        """Status, JSON body ({} when there is none) and `Location` of a form."""
        async with self.http.post(self.url + path, data=form, allow_redirects=False) as response:
            body = await response.read()
            return response.status, json.loads(body) if body else {}, response.headers.get("Location")

    async def give_password(self, password: str | None = None) -> tuple[int, dict[str, Any], str | None]:
        form = {"username": self.account.username, "password": password or self.account.password, "csrf-token": self.csrf}
        return await self.post("/oauth/v2/signin", **form)

    async def give_code(self, code: str) -> tuple[int, dict[str, Any], str | None]:
        return await self.post("/oauth/v2/2fa/verify", **{"2fa_code": code, "csrf-token": self.csrf, "remember_me": "false"})

    async def one_time_code(self) -> str | None:
        """The code that the sign-in ends with; None when it leads elsewhere."""
        async with self.http.get(f"{self.url}/oauth/v2/authorize", allow_redirects=False) as response:
            location = response.headers.get("Location", "")
        return parse_qs(urlsplit(location).query)["code"][0] if location.startswith(f"{REDIRECT_URI}?") else None

    async def redeem(self, code: str, **changed: str) -> tuple[int, dict[str, Any]]:
        form = {
            "app_brand": "blink",
            "client_id": "ios",
            "code": code,
            "code_verifier": self.verifier,
            "grant_type": "authorization_code",
            "hardware_id": HARDWARE_ID,
            "redirect_uri": REDIRECT_URI,
            "scope": "client",
        } | changed
        status, body, _ = await self.post("/oauth/token", **form)
        return status, body

    async def refresh(self, token: str, client_id: str = "ios") -> tuple[int, dict[str, Any]]:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id, "scope": "client"}
        status, body, _ = await self.post("/oauth/token", hardware_id=HARDWARE_ID, **form)
        return status, body

    async def sign_in(self) -> Self:
        """The whole way, with the code if one is asked for."""
        assert await self.begin() == 200
        status, _, _ = await self.give_password()
        if status in (202, 412):
            status, body, _ = await self.give_code(self.account.code)
            assert (status, body) == (201, {"status": "auth-completed"})
        code = await self.one_time_code()
        assert code is not None
        status, self.tokens = await self.redeem(code)
        assert status == 200
        return self

    async def page(self, page: int = 1, since: str = "1970-01-01T00:00:00Z") -> list[dict[str, Any]]:
        """The items of one page of the media list."""
        path = f"/api/v1/accounts/{self.account.id}/media/changed"
        status, body = await self.ask("GET", path, params={"since": since, "page": str(page)})
        assert status == 200, body
        items: list[dict[str, Any]] = body["media"]
        return items

    async def everything(self, since: str = "1970-01-01T00:00:00Z") -> list[dict[str, Any]]:
        """The items of all pages, until one is empty."""
        items: list[dict[str, Any]] = []
        number = 1
        while page := await self.page(number, since):
            items += page
            number += 1
        return items
