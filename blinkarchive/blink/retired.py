"""Endpoints that Blink may retire, and the newer ones that take their place."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from blinkarchive.errors import SourceError, UpdateRequired

T = TypeVar("T")
log = logging.getLogger(__name__)

_GONE = (404, 410)


class Replaceable:
    """An older endpoint with a newer one of the same use. The older one is used until Blink retires it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._replaced = False

    async def ask(self, older: Callable[[], Awaitable[T]], newer: Callable[[], Awaitable[T]]) -> T:
        """The answer of the older endpoint; of the newer one, from now on, when the older is retired and the newer answers.

        Raises what the endpoint in use raises; when both are retired, the error of the older one.
        """
        if self._replaced:
            return await newer()
        try:
            return await older()
        except SourceError as error:
            if not is_retired(error):
                raise
            retired = error
        try:
            answer = await newer()
        except SourceError as error:
            raise (retired if is_retired(error) else error) from None
        self._replaced = True
        log.info("Blink has retired an endpoint; the newer one is used", extra={"endpoint": self._name, "because": str(retired)})
        return answer


def is_retired(error: SourceError) -> bool:
    """Whether this is how an endpoint that is no longer served answers."""
    return isinstance(error, UpdateRequired) or error.status in _GONE
