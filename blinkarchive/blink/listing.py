"""How a list that is given page by page is read to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING

from blinkarchive.errors import ListingIncomplete

if TYPE_CHECKING:
    from blinkarchive.blink.wire import MediaPage


async def pages(ask: Callable[[int], Awaitable[MediaPage]], *, most: int | None = None) -> AsyncGenerator[MediaPage, None]:
    """The pages from 1 on, `most` at the most, up to the first that holds nothing or is the last page again.

    One whose items cannot be understood holds something. Errors of `ask` propagate: no error is an end.
    Raises `ListingIncomplete` for a list that gives its first page for ever.
    """
    number = 1
    before: MediaPage | None = None
    while (most is None or number <= most) and ((page := await ask(number)).items or page.malformed):
        if before is not None and is_again(page, before):
            if number == 2 and is_full(before):
                raise ListingIncomplete("the media list repeats itself: page 2 is page 1 again")
            return
        yield page
        before = page
        number += 1


def is_again(page: MediaPage, before: MediaPage) -> bool:
    """Whether a page has just the items of another: beyond its end, a list may give its last page again."""
    return [item.id for item in page.items] == [item.id for item in before.items] and page.malformed == before.malformed


def is_full(page: MediaPage) -> bool:
    """Whether more may follow after this page, as it has as many items as a page can have."""
    return not page.limit or len(page.items) + len(page.malformed) >= page.limit
