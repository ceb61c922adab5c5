"""Where log records go: to stderr, a line each, without secrets."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from blinkarchive.secret import redact

LEVELS = {
    -1: (logging.ERROR, logging.ERROR),
    0: (logging.WARNING, logging.WARNING),
    1: (logging.INFO, logging.WARNING),
    2: (logging.DEBUG, logging.INFO),
}
"""By verbosity: what this package says, and what others say. Their DEBUG would show what goes over the wire."""

_ALWAYS = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """`2026-03-01T08:34:00Z INFO blinkarchive.retry: will try again after=4.0 because="…"`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name that `logging` calls
        fields = (f"{name}={_shown(value)}" for name, value in vars(record).items() if name not in _ALWAYS)
        return " ".join((super().formatMessage(record).replace("\n", "\\n"), *fields))

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _Stderr(logging.Handler):
    """Writes to what stderr is at that moment; a line that nobody takes is gone."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
        except (OSError, ValueError, AttributeError):
            return


def set_up(verbosity: int) -> None:
    """Log errors (-1), warnings (0), what is done (1) or everything (2) from here on."""
    handler = _Stderr()
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    ours, theirs = LEVELS[verbosity]
    root.setLevel(theirs)
    logging.getLogger("blinkarchive").setLevel(ours)


def _shown(value: Any) -> str:
    text = str(value)
    return text if text and not set(text) & set(' "=\n\t') else '"{}"'.format(text.replace('"', '\\"').replace("\n", "\\n"))
