"""The values of a catalogue's health: what is known of one model, and what of it needs a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.domain.model import Pole

Kind = Literal["broken", "failed", "waits", "hardly apart", "one thing", "lacking", "unbalanced", "empty"]
# What a kind of finding is called; the most pressing first.
KINDS: Mapping[Kind, str] = {
    "broken": "cannot be read",
    "failed": "last run failed",
    "waits": "waits for your decision",
    "hardly apart": "poles hardly told apart",
    "one thing": "two traits say one thing",
    "lacking": "a pole has no samples",
    "unbalanced": "unbalanced poles",
    "empty": "no samples yet",
}


# How many samples of one trait there are at each pole.
Counts = Mapping[Pole, int]


@dataclass(frozen=True, slots=True)
class TraitCondition:
    """One trait of a model, with the labels of its poles.

    ``auc`` is how well the poles of the last attached set with enough texts are told apart, by its verdict; else None.
    """

    key: str
    name: str
    labels: Mapping[Pole, str]
    authored: Counts
    attached: Counts
    auc: float | None = None


@dataclass(frozen=True, slots=True)
class LastRun:
    """The run that left the newest set of a model.

    Args:
        status: that of its set: ``attached``, ``proposed``, ``rejected``, ``detached``, or ``turned down`` for one that
            was proposed and not attached.
        created_at: when it was due, as the manifest has it.
        said: why nothing was attached, in a sentence or two; else empty.
    """

    run_id: str
    status: str
    created_at: str
    synth_type: str
    effort: str | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that needs a person: what, in a sentence or two, and what to type, a line each; perhaps nothing."""

    kind: Kind
    said: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelCondition:
    """All that is known of one model.

    Args:
        state: that of its lifecycle file; ``unknown`` where that cannot be read or there is no such model.
        alike: the pairs of traits whose axes point the same way or against each other, with their cosine.
        proposed: the runs whose sets wait for a person.
        sets: how many attached sets there are.
        cost_usd: what all its runs cost that left a set; None where no price is known.
        faults: what cannot be read.
    """

    handle: str
    state: str = "draft"
    traits: tuple[TraitCondition, ...] = ()
    alike: Sequence[tuple[str, str, float]] = ()
    last: LastRun | None = None
    proposed: tuple[str, ...] = ()
    sets: int = 0
    cost_usd: float | None = None
    faults: tuple[Finding, ...] = ()
