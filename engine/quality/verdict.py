"""The gate's word as plain values, so that what shows it need not know what spoke it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.quality.diversity import PoleVariety


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One expectation of the gate. ``severity`` is ``critical``, ``warning`` or ``info``; ``name`` a clause."""

    suite: str
    name: str
    success: bool
    severity: str
    observed: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says. ``failed`` has a sentence for each critical failure, ``suites`` GX's own results.

    ``variety`` are the figures that it was told, for every trait and pole; ``beside`` the run ids of the stored sets
    that it saw beside the run's rows.
    """

    success: bool
    failed: tuple[str, ...]
    warnings: tuple[str, ...]
    results: tuple[ExpectationResult, ...]
    suites: Mapping[str, Mapping[str, Any]]
    variety: tuple[PoleVariety, ...] = ()
    beside: tuple[str, ...] = ()
