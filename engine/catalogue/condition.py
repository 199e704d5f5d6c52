"""The values of a catalogue's health: what is known of one model and of its texts, and of all models together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.model import Pole, TraitType


@dataclass(frozen=True, slots=True)
class Drift:
    """How the last set of a trait lies to the earlier ones.

    Args:
        run_id: the run that left the last set.
        told_apart: by pole how often a text of the last set can be told from an earlier one, as an AUC: .5 is chance.
        errors: by pole the standard deviation that chance alone gives such an AUC.
        graded: the AUC of the last set's texts on the axis of the earlier ones.
        own: the AUC of the earlier texts, each on an axis that has not seen it.
    """

    run_id: str
    told_apart: Mapping[Pole, float]
    errors: Mapping[Pole, float]
    graded: float | None
    own: float | None


@dataclass(frozen=True, slots=True)
class TraitMeasure:
    """What the texts of one trait, authored and attached ones, show.

    Args:
        auc: how well the poles are told apart, each text on an axis that has not seen it, in [0, 1]; None if there are
            too few texts.
        overlap: whether the two clusters overlap; None if there are too few texts.
        texts: how many texts were drawn for it, by pole.
        drift: None where there are not two sets with enough texts.
    """

    trait: str
    auc: float | None
    overlap: bool | None
    texts: Mapping[Pole, int]
    drift: Drift | None = None


@dataclass(frozen=True, slots=True)
class TraitAngle:
    """The cosine between the axes of two traits of one model, in [-1, 1], as it would be with very many texts.

    ``error`` is its standard error.
    """

    one: str
    other: str
    cosine: float
    error: float


@dataclass(frozen=True, slots=True)
class Measures:
    """What the texts of one model show; nothing where the sentence encoder does not know their language."""

    language: str
    language_known: bool
    traits: tuple[TraitMeasure, ...] = ()
    angles: tuple[TraitAngle, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """How many samples of one trait there are at each pole, and authored ones between the poles."""

    positive: int = 0
    negative: int = 0
    between: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.positive + other.positive, self.negative + other.negative, self.between + other.between)

    @property
    def total(self) -> int:
        """All of them."""
        return self.positive + self.negative + self.between

    def at(self, pole: Pole) -> int:
        """Those at a pole."""
        return self.positive if pole == "positive" else self.negative


@dataclass(frozen=True, slots=True)
class TraitCondition:
    """One trait of a model; one that only the store knows has its key as its name.

    Args:
        held_out: the samples of the pool for evaluation.
        measure: None where nothing was measured.
        type: None for a trait that is not defined any more.
    """

    key: str
    name: str
    labels: Mapping[Pole, str]
    authored: Counts
    attached: Counts
    held_out: Counts
    defined: bool = True
    measure: TraitMeasure | None = None
    type: TraitType | None = None


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a model, as far as it is known.

    Args:
        status: that of its set: ``attached``, ``proposed``, ``rejected``, ``detached``, or ``turned down`` for one that
            was proposed and not attached. Of a run without one: ``queued``, ``running``, ``failed``, ``cancelled``.
        at: when it was due; of a run without a set, when it began.
        said: why nothing was attached, in a sentence or two; else empty.
    """

    run_id: str
    status: str
    at: datetime | None
    synth_type: str
    effort: str | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something of a model that cannot be read: what and why, and the commands that say more or mend it."""

    said: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelCondition:
    """All that is known of one model.

    Args:
        state: that of its lifecycle file, ``unknown`` where that cannot be read, ``missing`` for a model of which only
            the store knows.
        attached_runs: the runs of its attached sets, in the order of their creation.
        changed: the runs whose attached sets were made for another definition than today's.
        proposed: the runs whose sets wait for a person.
        sets: how many sets there are by status.
        cost_usd: what all its runs cost that left a set; None where no price is known.
        faults: what cannot be read.
        unwritten: what its author has still to write; empty where nothing.
        fresh: whether its texts were measured now, and not taken from the cache.
    """

    handle: str
    description: str = ""
    state: str = "draft"
    traits: tuple[TraitCondition, ...] = ()
    measures: Measures | None = None
    last: LastRun | None = None
    attached_runs: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    proposed: tuple[str, ...] = ()
    sets: Mapping[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    faults: tuple[Fault, ...] = ()
    unwritten: str = ""
    fresh: bool = False
