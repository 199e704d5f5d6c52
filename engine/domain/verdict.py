"""Define the gate's verdict, as plain values without objects of Great Expectations, and the result of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.domain.definition import Pole
from engine.domain.finding import Finding, Severity, write_findings

# The gate's built-in suites, expectations/*.json.
GATE_SUITES = ("run", "whole", "held_out")


@dataclass(frozen=True, slots=True)
class Diversity:
    """The diversity of one group of texts, comparable between groups of any size.

    Attributes:
        count: the number of texts.
        vendi_of_eight: the Vendi score of order 2, in [1, 8], of eight random texts (Pasarkar and Dieng 2023, arXiv
            2310.12952); None with fewer than eight texts.
        shared_openings_of_eight: the share of eight random texts that start with the same three words as another of
            them; None with fewer than eight texts.
        word_order, seed_likeness: see ``engine.choosing.diversity``; None if not measured.
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

    ``name`` is a clause that says what was expected, ``remedy`` a sentence that says what to do if it fails; ``code``
    is its type, and ``numbers`` has the observed numbers by name.
    """

    suite: str
    name: str
    success: bool
    severity: Severity
    observed: str
    faults: tuple[str, ...] = ()
    remedy: str = ""
    code: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision. ``suites`` has GX's raw results by suite.

    ``findings`` come from the gate and, for a run, from its choice (``engine.choosing.findings``). ``diversity`` has
    the gate's input of diversity figures by trait and pole; ``checked_against`` the run ids of the stored sets that
    were checked together with the run's rows. ``proposed`` is true if the passed set waits for a person's decision.
    """

    findings: tuple[Finding, ...]
    results: tuple[ExpectationResult, ...]
    suites: Mapping[str, Mapping[str, Any]]
    diversity: tuple[PoleDiversity, ...] = ()
    checked_against: tuple[str, ...] = ()
    proposed: bool = False

    @property
    def success(self) -> bool:
        """True if no finding is critical."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The critical findings, in sentences."""
        return tuple(str(finding) for finding in self.findings if finding.severity == "critical")

    @property
    def causes(self) -> tuple[str, ...]:
        """The critical findings; if exemplars are missing, without those of the gate, which only repeat that."""
        if all(item.code != "missing_exemplars" for item in self.findings):
            return self.failed
        return tuple(str(item) for item in self.findings if item.severity == "critical" and not item.suite)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The other findings, in sentences."""
        return tuple(str(finding) for finding in self.findings if finding.severity != "critical")

    @property
    def status(self) -> Literal["attached", "proposed", "rejected"]:
        """The status that the verdict gives its set."""
        if not self.success:
            return "rejected"
        return "proposed" if self.proposed else "attached"


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run: paths of its files, and numbers of kept and rejected exemplars.

    ``status`` is ``attached``, or ``not_needed`` if no exemplars were missing and there is no set. ``wanted`` is the
    quota of each trait and pole, or the largest; ``kept`` is by trait key and pole. ``rejected`` does not count surplus
    exemplars. ``headline`` says the same in a line, see ``engine.report.wording``.
    """

    run_id: str
    status: str
    samples: str
    report: str
    wanted: int
    kept: Mapping[tuple[str, Pole], int]
    rejected: int = 0
    spare: int = 0
    findings: tuple[Finding, ...] = ()
    headline: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """The findings on an attached set, in sentences; none of them is critical."""
        return tuple(map(str, self.findings))

    def to_json(self) -> dict[str, Any]:
        """Return the fields that ``--json`` prints."""
        fields = {name: getattr(self, name) for name in ("run_id", "status", "samples", "report")}
        return fields | {"findings": write_findings(self.findings)}


@dataclass(frozen=True, slots=True)
class SkipReason:
    """The reason for skipping a model, as a sentence, and the run that created its existing set."""

    reason: str
    run_id: str | None = None
