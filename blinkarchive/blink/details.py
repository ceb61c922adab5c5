"""Requests that only add details to a main job: their errors cost the detail, and never the job."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from blinkarchive.errors import LoginNeeded, SourceError, TokenRevoked, Unreachable

T = TypeVar("T")
log = logging.getLogger(__name__)

_TOO_MANY = 429


class Details:
    """The details of one job. After an error that every further request would meet or make worse, the rest is skipped."""

    def __init__(self) -> None:
        self._skipped = False

    async def read(self, request: Callable[[], Awaitable[T]], failure: str, **fields: object) -> T | None:
        """The result of a request; None, and a warning in the log, when it fails or is skipped.

        Raises `TokenRevoked` alone of all that Blink answers: then there is no main job any more.
        """
        if self._skipped:
            return None
        try:
            return await request()
        except TokenRevoked:
            raise
        except SourceError as error:
            log.warning(failure, extra={**fields, "because": str(error)})
            self._skipped = isinstance(error, (LoginNeeded, Unreachable)) or error.status == _TOO_MANY
            return None
