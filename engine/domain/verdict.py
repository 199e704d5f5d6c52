"""What a run comes to: the gate's verdict, as plain values that no part of Great Expectations is in, and the result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.domain.model import Pole

# The gate's own suites, which are expectations/*.json.
GATE_SUITES = ("run", "whole", "held_out")


@dataclass(frozen=True, slots=True)
class Diversity:
    """The diversity of one group of texts, comparable between groups of any size.

    Attributes:
        count: the number of texts.
        vendi_of_eight: the Vendi score of order 2, in [1, 8], of eight random texts (Pasarkar and Dieng 2023, arXiv
            2310.12952); None with fewer than eight texts.
        shared_openings_of_eight: the share of eight random texts whose first three words are those of another of them;
            None with fewer than eight texts.
        word_order: see ``engine.choosing.diversity``, as ``seed_likeness``; None where it was not measured.
    """

    count: int
    vendi_of_eight: float | None
    shared_openings_of_eight: float | None
    word_order: float | None = None
    seed_likeness: float | None = None


@dataclass(frozen=True, slots=True)
class PoleDiversity:
    """The diversity of one trait's exemplars at one pole, and of its seeds."""

    trait: str
    pole: Pole
    exemplars: Diversity
    seeds: Diversity | None


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

    ``warnings`` are the gate's and, of a run, those of the look at its set as a whole (``Rounds.explain_recheck``).

    ``variety`` has the diversity figures that the gate was given, for every trait and pole; ``beside`` the run ids of
    the stored sets whose samples were checked together with the run's rows. ``proposed`` says that what passed
    waits for a person's decision.
    """

    success: bool
    failed: tuple[str, ...]
    warnings: tuple[str, ...]
    results: tuple[ExpectationResult, ...]
    suites: Mapping[str, Mapping[str, Any]]
    variety: tuple[PoleDiversity, ...] = ()
    beside: tuple[str, ...] = ()
    proposed: bool = False

    @property
    def status(self) -> Literal["attached", "proposed", "rejected"]:
        """The status of the set that it is the verdict of."""
        if not self.success:
            return "rejected"
        return "proposed" if self.proposed else "attached"


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run: where its files are, and how many exemplars were kept and rejected.

    ``status`` is ``attached``, or ``not_needed`` where nothing was lacking and there is no set. ``wanted`` is the quota
    of each trait and pole, or the largest; ``kept`` is by trait key and pole. ``rejected`` does not count what is to
    spare. ``headline`` says the same in a line, see ``engine.report.wording``.
    """

    run_id: str
    status: str
    samples: str
    report: str
    wanted: int
    kept: Mapping[tuple[str, Pole], int]
    rejected: int = 0
    spare: int = 0
    warnings: tuple[str, ...] = ()
    headline: str = ""


@dataclass(frozen=True, slots=True)
class SkipReason:
    """Why a model is passed over, as a sentence, and the run that made what it has."""

    reason: str
    run_id: str | None = None
