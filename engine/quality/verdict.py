"""Defines the gate's verdict as plain values, so that what shows it does not depend on Great Expectations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from engine.quality.diversity import PoleVariety


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """The result of one expectation of the gate.

    ``severity`` is ``critical``, ``warning`` or ``info``; ``name`` is a clause that says what was expected,
    ``remedy`` a sentence that says what to do where it is not so.
    """

    suite: str
    name: str
    success: bool
    severity: str
    observed: str
    faults: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision. ``failed`` has a sentence for each critical failure, ``suites`` GX's own results by suite.

    ``variety`` has the diversity figures that the gate was given, for every trait and pole; ``beside`` the run ids of
    the stored sets whose samples were checked together with the run's rows. ``proposed`` says that what passed
    waits for a person's word.
    """

    success: bool
    failed: tuple[str, ...]
    warnings: tuple[str, ...]
    results: tuple[ExpectationResult, ...]
    suites: Mapping[str, Mapping[str, Any]]
    variety: "tuple[PoleVariety, ...]" = ()
    beside: tuple[str, ...] = ()
    proposed: bool = False

    @property
    def status(self) -> Literal["attached", "proposed", "rejected"]:
        """The status of the set that it is the verdict of."""
        if not self.success:
            return "rejected"
        return "proposed" if self.proposed else "attached"
