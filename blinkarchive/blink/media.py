"""The bytes of a clip or a picture: from the account's server with its token, from any other one without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime

from blinkarchive.blink import answers, elsewhere, wire
from blinkarchive.blink.endpoints import Origin, target_on
from blinkarchive.blink.exchange import Answer, Request
from blinkarchive.blink.http import Incoming
from blinkarchive.blink.session import Session
from blinkarchive.blink.tokens import Tokens
from blinkarchive.errors import ForeignHost, SourceError
from blinkarchive.interfaces import Body

HEAD = 4096


@asynccontextmanager
async def media(session: Session, address: str, *, what: str = "the clip", detail: bool = False) -> AsyncIterator[Body]:
    """The bytes of a clip or a picture, as they come. `detail`: its refusals hold up no other requests.

    `address` is a path on the account's server, or an absolute address, as Blink's lists give it. One on another server, and
    where a redirect to another server leads, is asked without credentials, if it may be (see `Elsewhere`). Raises
    `ForeignHost` when it may not (then nothing was sent there), `Forbidden`, `ClipGone`, `BadClip`, or another `SourceError`.
    """
    async with AsyncExitStack() as stack:
        incoming = await _Fetch(session, address, what, stack, detail=detail).incoming()
        yield Body(length=incoming.length, type=incoming.answer.type, chunks=incoming.chunks)


class _Fetch:
    """One clip that is being asked for."""

    def __init__(self, session: Session, address: str, what: str, stack: AsyncExitStack, *, detail: bool) -> None:
        self._session = session
        self._address = address
        self._what = what
        self._stack = stack
        self._detail = detail

    async def incoming(self) -> Incoming:
        tokens = await self._session.account()
        try:
            target_on(self._session.servers.rest(tokens.tier), self._address)
        except ForeignHost as error:
            incoming = await self._begin(self._elsewhere(error))
        else:
            incoming = await self._session.with_token(self._request, self._begin, media=True)
        if self._wants_token(incoming):
            there = incoming.request
            request = self._get(there.origin, there.target)
            incoming = await self._session.with_token(lambda _: request, self._begin, media=True)
        await self._check(incoming)
        return incoming

    def _request(self, tokens: Tokens) -> Request:
        origin = self._session.servers.rest(tokens.tier)
        return self._get(origin, target_on(origin, self._address))

    def _get(self, origin: Origin, target: str) -> Request:
        headers = {"Accept": "*/*"}
        return Request(method="GET", origin=origin, target=target, what=self._what, headers=headers, detail=self._detail)

    def _elsewhere(self, error: ForeignHost) -> Request:
        if not self._address.lower().startswith("https://"):
            raise error
        return self._session.http.to_elsewhere(self._address, what=self._what)

    async def _begin(self, request: Request) -> Incoming:
        incoming = await self._stack.enter_async_context(self._session.http.stream(request))
        if not incoming.request.elsewhere:
            await self._check(incoming)
        return incoming

    def _wants_token(self, incoming: Incoming) -> bool:
        """Whether another server of Blink refuses a clip to who shows no token."""
        request, refused = incoming.request, incoming.answer.status in (401, 403)
        return request.elsewhere and refused and self._session.servers.serves_accounts(request.origin)

    async def _check(self, incoming: Incoming) -> None:
        """Raise the error that an answer to a media address stands for, unless its body may be a clip."""
        answer, because = incoming.answer, ""
        if answer.status == 200:
            if not answers.is_no_clip(answer):
                return
            answer = replace(answer, body=await _head(incoming))
            because = f"it is {answer.type}, not a clip: {wire.excerpt(answer.body)!r}"
        raise _refusal(answer, incoming.request, because, self._session.clock.now())


def _refusal(answer: Answer, request: Request, because: str, now: datetime) -> SourceError:
    if request.elsewhere:
        return elsewhere.refusal(answer, request, because)
    return answers.refusal(answer, what=request.what, now=now, media=True, because=because)


async def _head(incoming: Incoming) -> bytes:
    head = b""
    async for chunk in incoming.chunks:
        head += chunk[: HEAD - len(head)]
        if len(head) >= HEAD:
            break
    return head
