"""Blink's limits while an archive is served: the account that is limited is left alone, and no other."""

from __future__ import annotations

from pathlib import Path

from blinkarchive.cli import accounts
from tests.daemon.house import HOUR, house
from tests.virtually import virtually


@virtually
async def test_a_limit_on_one_accounts_refresh_is_kept_across_restarts_and_holds_up_no_other(tmp_path: Path) -> None:
    async with house(tmp_path, accounts=2, modules=0, local_clips=0) as at:
        async with at.served():
            await at.until(lambda: at.kept() == at.truth())
        limited, fine = at.world.accounts
        at.world.faults.add("token.status", status=429, times=0)
        await at.clock.sleep(4 * HOUR)  # every access token has ended
        at.world.faults.clear()
        at.world.faults.add("token.status", status=429, times=1)  # strikes whoever asks first: the first account
        at.cloud.log.clear()
        for account in (limited, fine):
            account.add_clip(account.cameras[0], size=9_000, index_first=True)
        for _ in range(5):
            async with at.served():
                await at.clock.sleep(0.15 * HOUR)
                assert "Login limit exceeded" in at.wrong["account a0"]
                assert "account a1" not in at.wrong
        assert len(at.cloud.seen("POST", "/oauth/token")) == 2, "one for each account"
        assert len(at.kept()) == len(at.truth()) - 1

        config = at.load()
        now = at.clock.now()
        standing = accounts.standing(config, config.accounts["a0"], now)
        assert standing.state is accounts.SignIn.HELD_BACK
        assert "pause until" in standing.detail
        assert accounts.standing(config, config.accounts["a1"], now).state is accounts.SignIn.SIGNED_IN

        async with at.served():
            await at.until(lambda: at.kept() == at.truth(), longest=0.8 * HOUR)
            await at.until(lambda: not at.wrong, longest=0.8 * HOUR)
        assert len(at.cloud.seen("POST", "/oauth/token")) == 3


@virtually
async def test_a_list_that_is_refused_for_a_day_without_a_stated_pause_is_asked_a_few_times_an_hour(tmp_path: Path) -> None:
    async with house(tmp_path, modules=0, local_clips=0) as at:
        at.configure(sources='[source.cloud]\nevery = "1m"\njitter = "0s"\n')
        async with at.served():
            await at.clock.sleep(60)
            at.world.faults.add("list.status", status=429, times=0)
            at.cloud.log.clear()
            await at.clock.sleep(HOUR)
            assert 2 <= len(at.cloud.seen("GET", "/media/changed")) <= 8
            at.cloud.log.clear()
            await at.clock.sleep(23 * HOUR)
            assert len(at.cloud.seen("GET", "/media/changed")) <= 24
            at.world.faults.clear()
            at.account.add_clip(at.account.cameras[0], size=9_000, index_first=True)
            await at.until(lambda: at.kept() == at.truth(), longest=1.1 * HOUR)
            await at.until(lambda: not at.wrong, longest=0.2 * HOUR)
            at.cloud.log.clear()
            await at.clock.sleep(HOUR)
            assert len(at.cloud.seen("GET", "/media/changed")) >= 50
