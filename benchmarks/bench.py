"""What all roads are given: how many rounds, and a folder to work in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAIRS = 5
"""No fewer, or one bad moment of the machine is a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One call of `make bench`."""

    #: On the disk that is measured.
    scratch: Path
    #: How often each race is run.
    pairs: int = PAIRS
    #: How many clips a large archive has.
    most_rows: int = 1_000_000
    #: How many files go off-site.
    files: int = 500
