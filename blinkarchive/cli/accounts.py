"""How the accounts of a config stand, as far as their files tell: nothing is asked over the network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from blinkarchive.config import AccountConfig, Config
from blinkarchive.errors import BlinkArchiveError


class SignIn(StrEnum):
    """How an account's sign-in stands."""

    SIGNED_IN = "signed in"
    CODE_NEEDED = "waits for its code"
    MISSING = "not signed in"
    UNUSABLE = "not usable"


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
    from blinkarchive.clock import Clock

    file = wiring.State(folder=config.archive.state).account(account.name)
    servers = Endpoints.of(api_url=account.api_url, oauth_url=account.oauth_url)
    try:
        tokens = TokenFile(file).load()
        waiting = Attempts(file, clock=Clock()).waiting(servers)
    except BlinkArchiveError as error:
        return Standing(state=SignIn.UNUSABLE, detail=str(error))
    if tokens is not None and tokens.are_of(servers):
        if tokens.refresh is None and tokens.expires_at <= now:
            return Standing(state=SignIn.MISSING, detail="the saved sign-in has ended")
        return Standing(state=SignIn.SIGNED_IN, token_until=tokens.expires_at)
    if waiting is not None:
        return Standing(state=SignIn.CODE_NEEDED, detail=waiting.sent)
    elsewhere = f"the saved sign-in is of {tokens.oauth}" if tokens is not None else ""
    return Standing(state=SignIn.MISSING, detail=elsewhere)
