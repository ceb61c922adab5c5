"""The contract of a sink, put together from its cases."""

from __future__ import annotations

import pytest

from blinkarchive.conformance.behaving import Behaving
from blinkarchive.conformance.deleting import Deleting
from blinkarchive.conformance.listing import Listing
from blinkarchive.conformance.putting import Putting
from blinkarchive.conformance.reading import Reading


class SinkContract(Putting, Reading, Listing, Deleting, Behaving):
    """Every promise of `blinkarchive.Sink`, tested.

    Subclass it in a test module, under a name that begins with `Test`, and write the fixture `open_sink`; override
    `flip_a_stored_byte` and `take_away` too, or let them say why that cannot be done. Needs pytest and pytest-asyncio, in either
    of its modes. Every call of `open_sink()` within one test must open the same place, and every test needs an empty one.
    """

    pytestmark = pytest.mark.asyncio
