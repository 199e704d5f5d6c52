"""The report: ``report.html``, one offline file for the person who wants to know what the run made and why."""

from dataclasses import dataclass, field
from datetime import datetime

from engine.samples import Row


@dataclass(frozen=True, slots=True)
class PoleCount:
    """Kept and wanted exemplars of one trait at one pole."""

    trait: str
    trait_name: str
    pole: str
    label: str
    kept: int
    wanted: int


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """A text that was rejected because it is too near to another. ``similarity`` is a Jaccard index in [0, 1]."""

    reason: str
    trait: str
    text: str
    other: str
    similarity: float


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One expectation of the gate. ``severity`` is ``critical``, ``warning`` or ``info``."""

    suite: str
    name: str
    success: bool
    severity: str
    observed: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that the report shows. ``lean`` maps a row's id to where its text lies, 0 negative to 1 positive."""

    handle: str
    description: str
    run_id: str
    synth_type: str
    effort: str
    synth_model: str
    created_at: datetime
    success: bool
    failed: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    counts: tuple[PoleCount, ...]
    kept: tuple[Row, ...]
    rejected: tuple[Row, ...]
    reasons: dict[str, int]
    duplicates: tuple[DuplicatePair, ...]
    expectations: tuple[ExpectationResult, ...]
    lean: dict[int, float] = field(default_factory=dict)
    calls: int = 0
    tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0
