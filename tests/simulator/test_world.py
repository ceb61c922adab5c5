"""A world while it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from blinkarchive.simulator import World

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def test_what_changed_is_told_as_it_is_at_that_moment(world: World) -> None:
    account = world.account
    first, last = account.clips[-1], account.clips[0]
    assert list(account.changed_since(BEGINNING)) == account.clips
    assert list(account.changed_since(last.updated_at + timedelta(seconds=1))) == []
    account.change(first, watched=True, at=last.updated_at + timedelta(hours=1))
    assert list(account.changed_since(last.updated_at + timedelta(seconds=1))) == [first]
    new = account.add_clip(created_at=last.created_at + timedelta(hours=2))
    assert list(account.changed_since(last.updated_at + timedelta(seconds=1))) == [new, first]
    account.remove_clip(first)
    assert list(account.changed_since(last.updated_at + timedelta(seconds=1))) == [new]
    assert first not in account.changed_since(BEGINNING)
    assert account.last_id == new.id
