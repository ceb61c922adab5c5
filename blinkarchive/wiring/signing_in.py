"""Accounts that are signed in: without a person, by one, or by what another program had saved."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from blinkarchive import blink as client  # its names load aiohttp when they are used: only who talks to Blink waits for that
from blinkarchive.blink.attempts import Attempts
from blinkarchive.blink.tokens import same_user
from blinkarchive.clock import Clock
from blinkarchive.config import AccountConfig, Config
from blinkarchive.errors import (
    CodeNeeded,
    ConfigError,
    LoginNeeded,
    NothingArchived,
    NotSignedIn,
    OtherAccount,
    SourceError,
    TokenRevoked,
)
from blinkarchive.pace import Pace
from blinkarchive.retry import Patience, retry
from blinkarchive.secret import Secret
from blinkarchive.wiring.identity import refuse_other
from blinkarchive.wiring.looking import reading
from blinkarchive.wiring.state import State

if TYPE_CHECKING:
    from blinkarchive.blink import Client, Endpoints
    from blinkarchive.blink.tokens import Tokens

log = logging.getLogger(__name__)


def _servers(account: AccountConfig) -> Endpoints:
    return client.Endpoints.of(api_url=account.api_url, oauth_url=account.oauth_url)


def _blink(account: AccountConfig, tokens: Path, clock: Clock, pace: Pace) -> AbstractAsyncContextManager[Client]:
    return client.Client.open(
        tokens,
        servers=_servers(account),
        before_request=pace.request,
        ca_file=account.ca_file,
        elsewhere="default" if account.other_hosts else None,
        clock=clock,
    )


@asynccontextmanager
async def signed_in(
    config: Config,
    account: str,
    *,
    clock: Clock | None = None,
    pace: Pace | None = None,
    patience: Patience | None = None,
    by_password: bool = True,
) -> AsyncIterator[Client]:
    """An account's client, at the account's pace, signed in without a person: by what is saved, else, unless that is not
    wanted, by the password.

    Neither an archive nor its lock is needed: a run that goes on is not disturbed. Raises `LoginNeeded` or another
    `SourceError`, and `ConfigError` when the password cannot be read.
    """
    chosen, state, clock = config.accounts[account], State(folder=config.archive.state), clock or Clock()
    state.make()
    async with _blink(chosen, state.account(account), clock, pace or Pace(chosen.pace, clock)) as blink:
        unattended = chosen if by_password else replace(chosen, password=None)
        await _signed_in(blink, unattended, clock=clock, patience=patience or Patience())
        yield blink


async def _signed_in(blink: Client, account: AccountConfig, *, clock: Clock, patience: Patience) -> None:
    """Be signed in without a person: by the saved tokens, else by the password, which is not read before it is needed.

    The password is for when there are no tokens, or they were revoked; passing faults are waited for. Raises `LoginNeeded` or
    another `SourceError`, and `ConfigError` when the password cannot be read.
    """
    await blink.belong_to(account.username)
    try:
        await retry(blink.ensure_signed_in, clock=clock, patience=patience)
    except (NotSignedIn, TokenRevoked):
        if account.password is None:
            raise
        # Once: Blink counts sign-ins, and so do we, whatever came of them.
        await blink.ensure_signed_in(account.username, account.read_password())


async def sign_in(
    config: Config,
    account: str,
    *,
    ask_password: Callable[[], Secret],
    ask_code: Callable[[str], Secret],
    code: Secret | None = None,
    clock: Clock | None = None,
) -> str:
    """Sign an account in because a person is there to do it: go on with a sign-in that waits for its code, else start one.

    `ask_code` is told where the code was sent. Returns what happened, in words. Raises `WrongCode`, after which the same
    sign-in may be gone on with, or another `SourceError`.
    """
    chosen = config.accounts[account]
    clock = clock or Clock()
    state = State(folder=config.archive.state)
    state.make()
    kept = state.account(account)

    async def prove(tokens: Tokens) -> Tokens:
        try:
            return await _proven(config, account, kept, tokens, clock)
        except OtherAccount:
            raise
        except SourceError as error:  # Blink may be away: a sign-in that cost a code is kept, and the next run proves it
            log.info("the new sign-in could not be proven yet", extra={"account": account, "because": str(error)})
            return tokens

    with suppress(LoginNeeded):  # a file that cannot take the tokens is told before Blink sends a code
        client.TokenFile(kept).load()
    async with _blink(chosen, kept, clock, Pace(chosen.pace, clock)) as blink:
        with suppress(LoginNeeded):  # what is saved is replaced; a code that another user waits for is of no use
            await blink.belong_to(chosen.username)
        waiting = blink.pending
        sent = waiting.sent if waiting is not None else ""
        if waiting is None:
            try:
                await blink.sign_in(chosen.username, ask_password(), prove=prove)
            except CodeNeeded as needed:
                if blink.pending is None:
                    raise
                sent = blink.pending.sent
                log.info("a code is wanted", extra={"account": account, "because": str(needed)})
        if blink.pending is not None:
            await blink.send_code(code or ask_code(f"{sent}."), prove=prove)
        await blink.account_id()
    return f"Account {account} is signed in."


async def import_credentials(config: Config, account: str, file: Path, *, clock: Clock | None = None) -> str:
    """Take over the sign-in of a blinkpy credential file. Returns what happened, in words.

    Raises `ConfigError` when the file holds none, and `LoginNeeded` when Blink no longer accepts it.
    """
    chosen = config.accounts[account]
    clock = clock or Clock()
    state = State(folder=config.archive.state)
    state.make()
    kept = state.account(account)
    device = Attempts(kept, clock=clock).hardware_id()
    tokens = client.import_blinkpy(file, servers=_servers(chosen), now=clock.now(), device=device)
    if tokens.username is not None and not same_user(tokens.username, chosen.username):
        raise ConfigError(
            f"{file} holds a sign-in of another user than `username` of [account.{account}]: correct that, or import the file "
            "into an account of its own"
        )
    tokens = replace(tokens, username=chosen.username)
    proven = await _proven(config, account, kept, tokens, clock)
    async with _blink(chosen, kept, clock, Pace(chosen.pace, clock)) as blink:
        await blink.adopt(proven)
        await blink.account_id()
    return f"Account {account} is signed in with what {file} held. That file still holds a password in clear: delete it."


async def _proven(config: Config, account: str, kept: Path, tokens: Tokens, clock: Clock) -> Tokens:
    """Tokens that Blink accepts, and that are of the account whose clips the archive has. What is saved stays in force.

    Raises `OtherAccount`, or another `SourceError`.
    """
    chosen = config.accounts[account]
    with tempfile.TemporaryDirectory(prefix=".trial-", dir=kept.parent) as folder:
        async with _blink(chosen, Path(folder) / kept.name, clock, Pace(chosen.pace, clock)) as trial:
            await trial.adopt(tokens)
            await _check_archive(config, account, str(await trial.account_id()))
            return trial.tokens


async def _check_archive(config: Config, account: str, signed_in: str) -> None:
    """Raise `OtherAccount` when the archive has clips of another Blink account under this name."""
    with suppress(NothingArchived):
        async with reading(config) as index:
            refuse_other(account, signed_in, (await index.accounts()).get(account))
