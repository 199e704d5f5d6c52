"""Defines suites of expectations: the names of the gate's own, and those that authors write."""

import hashlib
from dataclasses import dataclass

# What they are about is said in expectations/*.json.
GATE_SUITES = ("run", "whole", "held_out")
# What a suite may name as ``{"$PARAMETER": name}``; ``expectations.gate.make_parameters`` has their values.
PARAMETERS = ("traits", "wanted", "row_floor", "run_ids", "columns", "variety")


@dataclass(frozen=True, slots=True)
class OwnSuite:
    """A suite of expectations that an author has written, and that the gate runs beside its own.

    ``place`` is the file that it came from, as messages name it; ``content`` the suite as JSON, in one form however the
    file is laid out, so that its digest tells whether the same is expected.
    """

    name: str
    place: str
    content: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content.encode()).hexdigest()
