"""What a store can do of what S3 can, found out by asking it: does it refuse to overwrite, does it check SHA-256."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Support(Enum):
    """How a store treats something that it may not know."""

    YES = "does it"
    IGNORED = "takes no notice"
    REFUSED = "does not take the request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is known of a store. Where a trait is not `YES`, we do without it: slower, and as safely as can be."""

    #: `If-None-Match: *` on a put: never overwriting, in one step.
    conditions: Support = Support.YES
    #: SHA-256 of an object: checked by the store when it is put, and told afterwards.
    checksums: Support = Support.YES
    #: What the owner should know besides.
    remarks: tuple[str, ...] = ()
    #: Whether this was found out by asking the store.
    probed: bool = True

    def noting(self, remark: str) -> Traits:
        """The same with one more remark, unless it is empty."""
        return replace(self, remarks=(*self.remarks, remark)) if remark else self

    @property
    def notes(self) -> tuple[str, ...]:
        """What the owner should know, in words."""
        if not self.probed:
            return self.remarks
        notes = []
        if self.conditions is not Support.YES:
            notes.append(
                "the store knows no conditional puts: what exists is looked for before each put; let no other program write there"
            )
        if self.checksums is not Support.YES:
            notes.append("the store checks no SHA-256: every clip is read back after it was put, and for each verification")
        return (*notes, *self.remarks)


UNPROBED = Traits(conditions=Support.IGNORED, checksums=Support.IGNORED, probed=False)
"""What is assumed of a store that was not probed, since nothing may be written there: its hashes are not trusted."""

Known = dict[tuple[str, str, str], Traits]
"""What is known of places: an address, a bucket, a folder."""
