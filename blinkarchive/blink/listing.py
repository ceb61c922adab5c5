"""How a list that is given page by page is read to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blinkarchive.blink.wire import MediaPage


async def pages(ask: Callable[[int], Awaitable[MediaPage]], *, most: int | None = None) -> AsyncGenerator[MediaPage, None]:
    """The pages from 1 on, `most` at the most, up to the first that holds nothing: that alone is the end of a list.

    One whose items cannot be understood holds something. What `ask` raises goes through: no error is an end.
    """
    number = 1
    while (most is None or number <= most) and ((page := await ask(number)).items or page.malformed):
        yield page
        number += 1
