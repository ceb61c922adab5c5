"""The only retry loop: what is `Transient` is tried again, a few times, with growing pauses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from blinkarchive.clock import Clock
from blinkarchive.errors import Throttled, Transient

T = TypeVar("T")
log = logging.getLogger(__name__)

PAUSES: Sequence[float] = (1.0, 4.0)
"""The pauses between attempts, in seconds: so there is one attempt more than pauses."""

SHORTEST_WAIT = 1.0
LONGEST_WAIT = 60.0
"""What another side may ask us to wait within a run, in seconds: less and more are clamped."""


THROTTLED = 4.0
"""The first pause after throttling that states none, in seconds."""


class Patience:
    """How long a run is willing to wait for throttling, all in all."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.left = seconds

    def spend(self, seconds: float) -> bool:
        """Take a wait from what is left; False, and nothing taken, when it does not suffice."""
        if seconds > self.left:
            return False
        self.left -= seconds
        return True


async def retry(
    work: Callable[[], Awaitable[T]],
    *,
    clock: Clock,
    patience: Patience | None = None,
    pauses: Sequence[float] = PAUSES,
    only: type[Transient] = Transient,
) -> T:
    """Do the work, again after a pause when it fails with a `Transient`, and raise the last failure.

    `only` is for work that must not be done twice: of the passing faults, the kind that says it was not done.

    A wait that the other side asked for (`retry_after`) takes the place of a shorter pause; it is at least 1 second, and at most
    60 seconds. Throttling for longer than that is raised at once. Where there is `patience`, throttling is no attempt: it is
    waited for, twice as long each time, until that is spent.
    """
    left = list(pauses)
    throttled = 0
    while True:
        try:
            return await work()
        except only as error:
            wait = left[0] if left else 0.0
            if error.retry_after is not None:
                wait = min(max(wait, error.retry_after, SHORTEST_WAIT), LONGEST_WAIT)
            if isinstance(error, Throttled):
                if error.retry_after is None:
                    wait = max(wait, THROTTLED * 2.0**throttled)
                elif error.retry_after > LONGEST_WAIT:
                    raise
                throttled += 1
            if isinstance(error, Throttled) and patience is not None:
                if not patience.spend(max(wait, SHORTEST_WAIT)):
                    raise
            elif left:
                left.pop(0)
            else:
                raise
            log.info("will try again", extra={"after": wait, "because": str(error)})
            await clock.sleep(max(wait, SHORTEST_WAIT))
