"""The sign-in host: its pages and its token endpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from blinkarchive.simulator.answers import EMPTY_COOKIES, UPDATE_REQUIRED, Refusal, as_json, oauth_error
from blinkarchive.simulator.faults import Place, Target
from blinkarchive.simulator.signins import REDIRECT_URI, Person, Session, check_hardware_id
from blinkarchive.simulator.trouble import answer
from blinkarchive.simulator.world import World

_COOKIE = "blink_oauth_session"
_SECONDS_TO_NEXT_CODE = 60


class OAuthHost:
    """What `api.oauth.blink.com` answers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._signins = world.signins

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/oauth/v2/authorize", self.authorize),
            web.get("/oauth/v2/signin", self.signin_page),
            web.post("/oauth/v2/signin", self.signin),
            web.post("/oauth/v2/2fa/verify", self.verify),
            web.post("/oauth/token", self.token),
            *(web.post(path, self.retired) for path in ("/api/v3/login", "/api/v4/account/login", "/api/v5/account/login")),
            web.post("/api/v4/account/{account}/client/{client}/pin/verify", self.retired),
        ]

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """With parameters: begin. Without: go on where the cookie says, and end with a code for the app."""

        async def usual() -> web.StreamResponse:
            if request.query:
                session = self._signins.begin(request.query)
                response = _redirect("/oauth/v2/signin")
                response.set_cookie(_COOKIE, session.cookie, path="/", httponly=True, samesite="Lax")
                response.set_cookie("blink_locale", "en_US", path="/")
                return response
            session = self._session(request)
            if not session.passed:
                return _redirect("/oauth/v2/signin")
            answers = {"code": self._signins.ticket(session)}
            if session.flow.state is not None:
                answers["state"] = session.flow.state
            return _redirect(f"{REDIRECT_URI}?{urlencode(answers)}")

        return await answer(request, self._world, Place.AUTHORIZE, usual)

    async def signin_page(self, request: web.Request) -> web.StreamResponse:
        """The form, with the token that its answer must carry."""
        arguments = json.dumps({"csrf-token": self._session(request).csrf, "locale": "en_US", "brand": "blink"})
        page = (
            "<!DOCTYPE html><html><head><title>Sign in to Blink</title></head><body><div id=root></div>"
            f'<script id="oauth-args" type="application/json">{arguments}</script></body></html>'
        )
        return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def signin(self, request: web.Request) -> web.StreamResponse:
        """Take the password: 302 goes on, 202 or 412 ask for a code."""
        form = await _form(request)
        username = form.get("username", "")

        async def usual() -> web.StreamResponse:
            session = self._session(request, form)
            person = self._signins.check_password(session, username, form.get("password", ""))
            if session.passed:
                return _redirect("/oauth/v2/authorize")
            return as_json(_code_wanted(person), int(person.second_factor))

        return await answer(request, self._world, Place.SIGNIN, usual, Target(account=username))

    async def verify(self, request: web.Request) -> web.StreamResponse:
        """Take the code."""
        form = await _form(request)

        async def usual() -> web.StreamResponse:
            session = self._session(request, form)
            self._signins.check_code(session, form.get("2fa_code", ""))
            return as_json({"status": "auth-completed"}, 201)

        return await answer(request, self._world, Place.VERIFY, usual)

    async def token(self, request: web.Request) -> web.StreamResponse:
        """Tokens for a one-time code or a refresh token."""
        form = await _form(request)

        async def usual() -> web.StreamResponse:
            if "hardware_id" in request.headers:
                check_hardware_id(request.headers["hardware_id"])
            match form.get("grant_type"):
                case "authorization_code":
                    return as_json(self._signins.redeem(form))
                case "refresh_token":
                    return as_json(self._signins.refresh(form))
                case _:
                    raise oauth_error(401, "unsupported_grant_type", "invalid grant type")

        return await answer(request, self._world, Place.TOKEN, usual)

    async def retired(self, _: web.Request) -> web.StreamResponse:
        """Sign-in as it was before 2025-12."""
        raise Refusal(426, UPDATE_REQUIRED)

    def _session(self, request: web.Request, form: Mapping[str, str] | None = None) -> Session:
        session = self._signins.session(request.cookies.get(_COOKIE))
        if session is None:
            raise Refusal(400, EMPTY_COOKIES)
        if form is not None and form.get("csrf-token") != session.csrf:
            raise oauth_error(400, "bad_request", "The csrf-token is not the one of this session.")
        return session


def _redirect(to: str) -> web.Response:
    return web.Response(status=302, headers={"Location": to})


def _code_wanted(person: Person) -> dict[str, object]:
    return {
        "next_time_in_secs": _SECONDS_TO_NEXT_CODE,
        "phone": "+49xxxxxxxx42",
        "tsv_methods": ["sms", "whatsapp", "voice"],
        "tsv_state": "sms",
        "user_id": person.user_id,
    }


async def _form(request: web.Request) -> dict[str, str]:
    """The fields of a form; of a body that is none, nothing."""
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    return dict(parse_qsl((await request.read()).decode("utf-8", "replace"), keep_blank_values=True))
