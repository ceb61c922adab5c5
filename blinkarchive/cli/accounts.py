"""How the accounts of a config stand, as far as their files tell: nothing is asked over the network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from blinkarchive.config import AccountConfig, Config
from blinkarchive.errors import BlinkArchiveError

if TYPE_CHECKING:
    from blinkarchive.blink.holds import Hold


class SignIn(StrEnum):
    """How an account's sign-in stands."""

    SIGNED_IN = "signed in"
    CODE_NEEDED = "waits for its code"
    MISSING = "not signed in"
    UNUSABLE = "not usable"
    HELD_BACK = "held back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account's sign-in, and what to know of it."""

    state: SignIn
    #: In words; "" when there is nothing to add.
    detail: str = ""
    #: Until when the saved access token is good; it is renewed before. None when there is none.
    token_until: datetime | None = None


def standing(config: Config, account: AccountConfig, now: datetime) -> Standing:
    """How an account stands."""
    from blinkarchive import wiring
    from blinkarchive.blink import Endpoints, TokenFile
    from blinkarchive.blink.attempts import Attempts
    from blinkarchive.blink.holds import Holds
    from blinkarchive.clock import Clock, ManualClock

    file = wiring.State(folder=config.archive.state).account(account.name)
    servers = Endpoints.of(api_url=account.api_url, oauth_url=account.oauth_url)
    try:
        tokens = TokenFile(file).load()
        waiting = Attempts(file, clock=Clock()).waiting(servers)
        holds = Holds(file, clock=ManualClock(now))
        login, requests = holds.login(), holds.requests()
    except BlinkArchiveError as error:
        return Standing(state=SignIn.UNUSABLE, detail=str(error))
    if tokens is not None and tokens.are_of(servers):
        if tokens.refresh is None and tokens.expires_at <= now:
            return Standing(state=SignIn.MISSING, detail="the saved sign-in has ended")
        if login is not None and tokens.expires_at <= now:
            return Standing(state=SignIn.HELD_BACK, detail=_held(login), token_until=tokens.expires_at)
        pauses = [hold for hold in (login, requests) if hold is not None]
        return Standing(state=SignIn.SIGNED_IN, detail="; ".join(map(_held, pauses)), token_until=tokens.expires_at)
    if waiting is not None:
        return Standing(state=SignIn.CODE_NEEDED, detail=waiting.sent)
    if login is not None:
        return Standing(state=SignIn.HELD_BACK, detail=_held(login))
    elsewhere = f"the saved sign-in is of {tokens.oauth}" if tokens is not None else ""
    return Standing(state=SignIn.MISSING, detail=elsewhere)


def _held(hold: Hold) -> str:
    return f"Blink asked for a pause until {hold.until:%Y-%m-%d %H:%M} UTC ({hold.because})"
