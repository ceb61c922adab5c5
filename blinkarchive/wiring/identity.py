"""Which Blink account the clips of an account's name are of: one, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blinkarchive.errors import OtherAccount

if TYPE_CHECKING:
    from blinkarchive.blink import Client
    from blinkarchive.index import Index


async def check_account(index: Index, name: str, blink: Client) -> None:
    """See to it that a sign-in is of the Blink account whose clips the archive has under this name.

    An archive that has none under it yet, or does not know of which account they are, has this account's from now on.
    Raises `OtherAccount`: then nothing of this sign-in may be listed under the name.
    """
    signed_in = str(await blink.account_id())
    refuse_other(name, signed_in, await index.bind_account(name, signed_in))


def refuse_other(name: str, signed_in: str, bound: str | None) -> None:
    """Raise `OtherAccount` when a sign-in is of another Blink account than the clips of this name."""
    if bound not in (None, signed_in):
        raise OtherAccount(
            f"the sign-in is of Blink account {signed_in}, and the clips of account {name} in this archive are of Blink account "
            f"{bound}: nothing was listed, stored or deleted. Sign in as its user again (`blinkarchive login --account {name}`), "
            "or give the other account another name in the config: a table [account.NAME] of its own"
        )
