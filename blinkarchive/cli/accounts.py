"""How the accounts of a config stand, as far as their files tell: nothing is asked over the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from blinkarchive.config import AccountConfig, Config
from blinkarchive.errors import BlinkArchiveError
from blinkarchive.index.facts import LastOutcome
from blinkarchive.model import Result, Subject

if TYPE_CHECKING:
    from blinkarchive.blink.holds import Hold


REVOKED = "Blink no longer accepts the saved sign-in"


class SignIn(StrEnum):
    """How an account's sign-in stands."""

    SIGNED_IN = "signed in"
    CODE_NEEDED = "waits for its code"
    MISSING = "not signed in"
    REFUSED = "refused"
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


def standing(
    config: Config, account: AccountConfig, now: datetime, outcomes: Mapping[Subject, LastOutcome] | None = None
) -> Standing:
    """How an account stands, by its files, and by how the last runs ended for it (`outcomes`)."""
    by_files = _by_files(config, account, now)
    refused = _refused(config, account, outcomes or {})
    if by_files.state is SignIn.SIGNED_IN and refused is not None:
        return Standing(state=SignIn.REFUSED, detail=refused)
    return by_files


def signed_in_again(config: Config, outcomes: Mapping[Subject, LastOutcome]) -> list[str]:
    """The accounts whose last run needed a sign-in, and whose tokens have changed since."""
    needed = {subject.name for subject, last in outcomes.items() if last.outcome.result is Result.SIGN_IN}
    return [name for name, account in config.accounts.items() if name in needed and _refused(config, account, outcomes) is None]


def _refused(config: Config, account: AccountConfig, outcomes: Mapping[Subject, LastOutcome]) -> str | None:
    """Why the last run for the account needed a sign-in; None when none did, or the tokens have changed since."""
    from blinkarchive import wiring

    file = wiring.State(folder=config.archive.state).account(account.name)
    try:
        changed = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError:
        changed = datetime.min.replace(tzinfo=UTC)
    return next(
        (
            last.outcome.reason
            for subject, last in outcomes.items()
            if subject.source is not None
            and subject.name == account.name
            and last.outcome.result is Result.SIGN_IN
            and last.ended_at >= changed
        ),
        None,
    )


def _by_files(config: Config, account: AccountConfig, now: datetime) -> Standing:
    from blinkarchive import wiring
    from blinkarchive.blink import Endpoints, TokenFile
    from blinkarchive.blink.attempts import Attempts
    from blinkarchive.blink.holds import Holds
    from blinkarchive.blink.tokens import same_user
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
        if tokens.revoked:
            return Standing(state=SignIn.REFUSED, detail=REVOKED)
        if tokens.username is not None and not same_user(tokens.username, account.username):
            return Standing(state=SignIn.UNUSABLE, detail="the saved sign-in is of another user than `username` in the config")
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
