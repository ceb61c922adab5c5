"""`login`: sign in to Blink, once; the sign-in is kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from blinkarchive.cli import running
from blinkarchive.cli.exits import Exit
from blinkarchive.cli.session import Session, Verb
from blinkarchive.cli.signals import interruptible
from blinkarchive.cli.words import is_terminal, record, talk
from blinkarchive.clock import Clock
from blinkarchive.config import AccountConfig, Config
from blinkarchive.convert import nearest
from blinkarchive.errors import CodeNeeded, ConfigError, LoginNeeded, WrongCode
from blinkarchive.secret import Secret

TRIES = 3
"""How often a code may be given at a terminal."""


@click.command(cls=Verb, name="login")
@click.option("--account", metavar="NAME", help="Which account of the config; needed when there are several.")
@click.option("--code", help="The code that Blink sent; also BLINKARCHIVE_CODE. Without it, the terminal asks.")
@click.option(
    "--import",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Take over the sign-in of a blinkpy credential file, in place of a new one.",
)
@click.pass_obj
def verb(session: Session, account: str | None, code: str | None, file: Path | None) -> Exit:
    """Sign in to Blink, once; the sign-in is kept.

    Asks for the password unless the config says where it is kept, and for the code that Blink sends by message or mail.
    Without a terminal, give the code in a second call: blinkarchive login --code 123456. What is kept is the sign-in, in the
    folder of [archive] state, readable by you alone; the password is not.

    Exit codes: 0 signed in, 4 not signed in: a wrong password, or a code is still wanted.
    """
    from blinkarchive import wiring

    config = session.load()
    chosen = account_of(config, account)
    given = code or os.environ.get("BLINKARCHIVE_CODE")

    if file is not None:
        done = running.run(lambda: wiring.import_credentials(config, chosen.name, file, clock=Clock()))
    else:
        done = running.run(lambda: _sign_in(config, chosen, Secret(given) if given else None))
    if session.json:
        record({"account": chosen.name, "done": done})
    session.say(f"{done}\nNext: blinkarchive run")
    return Exit.DONE


async def _sign_in(config: Config, account: AccountConfig, code: Secret | None) -> str:
    """Sign in; at a terminal a wrong code may be given again."""
    from blinkarchive import wiring

    for left in reversed(range(TRIES)):
        try:
            return await wiring.sign_in(
                config,
                account.name,
                ask_password=lambda: ask_password(account),
                ask_code=ask_code,
                code=code,
                clock=Clock(),
            )
        except WrongCode as error:
            if not left or code is not None or not is_terminal(sys.stdin):
                raise
            talk(f"{error}. Try again.")
    raise AssertionError


def account_of(config: Config, named: str | None) -> AccountConfig:
    """The account that is meant: the named one, or the only one. Raises `ConfigError`."""
    if named is None and len(config.accounts) == 1:
        return next(iter(config.accounts.values()))
    if not config.accounts:
        raise ConfigError("the config has no account yet; `blinkarchive init` writes one")
    if named is None:
        raise ConfigError(f"there are several accounts; add one of: {', '.join(f'--account {name}' for name in config.accounts)}")
    if named not in config.accounts:
        raise ConfigError(f"--account {named}: the config has no such account{nearest(named, config.accounts)}")
    return config.accounts[named]


def ask_password(account: AccountConfig) -> Secret:
    """The password from where the config says it is kept, or from the terminal. Raises `LoginNeeded` when nobody can be asked."""
    kept = account.read_password()
    if kept is not None:
        return kept
    if not is_terminal(sys.stdin):
        where = f"{account.password} holds none" if account.password is not None else "the config does not say where it is kept"
        raise LoginNeeded(
            f"account {account.name}: there is no password ({where}) and no terminal to ask at; "
            f"log in at a terminal, or set password in [account.{account.name}]"
        )
    with interruptible():
        return Secret(click.prompt(f"Password of {account.username}", hide_input=True, err=True))


def ask_code(sent: str) -> Secret:
    """The code that Blink sent, from the terminal; `sent` says where to. Raises `CodeNeeded` when nobody can be asked."""
    if not is_terminal(sys.stdin):
        raise CodeNeeded(f"{sent} Give it with: blinkarchive login --code CODE")
    talk(sent)
    with interruptible():
        return Secret(click.prompt("Code", err=True).strip())
