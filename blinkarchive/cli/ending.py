"""How the process ends: by itself and within seconds, whatever a plugin has left in it."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from typing import NoReturn

log = logging.getLogger(__name__)

PATIENCE = 3.0
"""How long threads and what else Python ends at its end may take, in seconds."""

left_open: list[object] = []
"""Event loops with tasks in them that do not stop. Python must not clear them away: it would complain of every task."""


def end(code: int) -> NoReturn:
    """End the process with this code, when all of ours is closed and the output is flushed.

    Python waits for every thread of a pool and every other that is no daemon, so that work may come to its end. Here that has an
    end too: it is a plugin's work, which is safe to be killed in the midst of it.
    """
    if left_open:
        atexit.register(os._exit, code)  # called before all that was registered earlier, and after the threads have ended
    last = threading.Timer(PATIENCE, _end_now, [code])
    last.daemon = True
    last.start()
    sys.exit(code)


def _end_now(code: int) -> NoReturn:
    try:
        names = [one.name for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
        log.warning("the process ends though something in it does not", extra={"threads": ", ".join(names)})
    finally:
        os._exit(code)
