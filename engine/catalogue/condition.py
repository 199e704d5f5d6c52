"""What is known of one model, and what of it needs a person, most pressing first, with the commands that mend it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engine.definitions.lifecycle import DRAFTS
from engine.domain.model import POLES, Pole
from engine.llm.client.prices import add_costs
from engine.text.formatting import count_noun, join_words, shorten

Kind = Literal["broken", "failed", "waits", "hardly apart", "one thing", "lacking", "unbalanced", "older", "empty"]
# What a kind of finding is called; the most pressing first.
KINDS: Mapping[Kind, str] = {
    "broken": "cannot be read",
    "failed": "last run failed",
    "waits": "waits for your decision",
    "hardly apart": "poles hardly told apart",
    "one thing": "two traits say one thing",
    "lacking": "a pole has no samples",
    "unbalanced": "unbalanced poles",
    "older": "older definition",
    "empty": "no samples yet",
}
# As in the gate's suite ``whole``.
MIN_POLE_SHARE = 0.4
MAX_MESSAGES = 300

# How many samples of one trait there are at each pole.
Counts = Mapping[Pole, int]


@dataclass(frozen=True, slots=True)
class TraitCondition:
    """One trait of a model, with the labels of its poles.

    ``auc`` is how well the poles of the last attached set with enough texts are told apart, by its verdict; else None.
    ``inseparable`` is that verdict's warning where it is hardly or not at all.
    """

    key: str
    name: str
    labels: Mapping[Pole, str]
    authored: Counts
    attached: Counts
    auc: float | None = None
    inseparable: str = ""


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that left a set.

    Args:
        status: that of its set: ``attached``, ``proposed``, ``rejected``, ``detached``, or ``turned down`` for one that
            was proposed and not attached.
        created_at: when it was due, as the manifest has it.
        said: why nothing was attached, in a sentence or two; else empty.
        written_at: when its set was; ``attached_at`` is None where it is not attached.
        samples: how many its set has now.
        cost_usd: None where it is not known.
    """

    run_id: str
    status: str
    created_at: str
    synth_type: str
    effort: str | None
    said: str
    written_at: datetime
    attached_at: datetime | None
    samples: int
    cost_usd: float | None


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
        sets: how many attached sets there are, but for those set aside for evaluation.
        set_aside: how many samples those have.
        older_samples: how many attached samples were made for an older definition.
        runs: all that left a set.
        faults: what cannot be read.
    """

    handle: str
    state: str = "draft"
    traits: tuple[TraitCondition, ...] = ()
    alike: Sequence[tuple[str, str, float]] = ()
    proposed: tuple[str, ...] = ()
    sets: int = 0
    set_aside: int = 0
    older_samples: int = 0
    runs: tuple[PastRun, ...] = ()
    faults: tuple[Finding, ...] = ()

    @property
    def last(self) -> PastRun | None:
        """The run that left the newest set."""
        return max(self.runs, key=lambda run: run.created_at, default=None)

    @property
    def cost_usd(self) -> float | None:
        """What all its runs cost that left a set; None where no price is known."""
        return add_costs(*(run.cost_usd for run in self.runs))

    @property
    def findings(self) -> list[Finding]:
        """What needs a person, most pressing first. Nothing is to be typed where a trained model is frozen."""
        return sorted(_find(self), key=lambda finding: list(KINDS).index(finding.kind))

    @property
    def needs_person(self) -> bool:
        """Whether something is wrong, or waits. Nothing is where no run has attached anything yet."""
        return any(finding.kind != "empty" for finding in self.findings)


def _find(model: ModelCondition) -> Iterator[Finding]:
    yield from model.faults
    again = f"exemplars synthesize {model.handle}"
    last = model.last
    if last is not None and last.status == "rejected":
        why = f": {shorten(' '.join(last.said.split()), MAX_MESSAGES)}" if last.said else ""
        effort = f" --effort {last.effort}" if last.effort else ""
        typed = f"{again} --synth-type {last.synth_type}{effort}"
        said = f"Run {last.run_id} attached nothing{why}"
        yield Finding("failed", said, (typed,) if last.synth_type == "enrich" else _for_draft(model, typed))
    for run in model.proposed:
        said = f"Read the report of run {run}, then attach its set or reject it"
        yield Finding("waits", said, (f"exemplars review {run} --attach", f"exemplars review {run} --reject"))
    for trait in model.traits:
        if trait.inseparable:
            said = f"{trait.name}, in the last set: {trait.inseparable.partition(': ')[2]}"
            yield Finding("hardly apart", said, _for_draft(model, again))
    for one, other, cosine in model.alike:
        turned = ", one turned round" if cosine < 0 else ""
        said = (
            f"{one} and {other}: their axes have a cosine of {cosine:.2f}{turned}. Take one of them out of model.yaml, "
            "or add seeds that are at one pole of the one and the other pole of the other"
        )
        yield Finding("one thing", said, _for_draft(model, again))
    yield from _find_in_counts(model, again)


def _find_in_counts(model: ModelCondition, again: str) -> Iterator[Finding]:
    if not any(any(trait.attached.values()) for trait in model.traits):
        if model.traits and not model.proposed and not model.faults:
            yield Finding("empty", "No run of it has attached any", _for_draft(model, again))
        return
    if model.older_samples and (typed := _for_draft(model, f"{again} --refresh")):
        said = f"{count_noun(model.older_samples, 'sample')} of it were made for an older definition"
        yield Finding("older", said, typed)
    fill = _for_draft(model, f"{again} --only-lacking")
    for trait in model.traits:
        none = [trait.labels[pole] for pole in POLES if not trait.attached[pole]]
        both = {pole: trait.authored[pole] + trait.attached[pole] for pole in POLES}
        if none:
            yield Finding("lacking", f"{trait.name}: none is {join_words(none)}", fill)
        elif _is_unbalanced(both):
            counts = " and ".join(f"{both[pole]:,} {trait.labels[pole]}" for pole in POLES)
            # What is unbalanced by its authored samples is outweighed by more of both poles.
            typed = fill if _is_unbalanced(trait.attached) else _for_draft(model, again)
            yield Finding("unbalanced", f"{trait.name}: {counts}", typed)


def _is_unbalanced(counts: Counts) -> bool:
    return min(counts.values()) < MIN_POLE_SHARE * sum(counts.values())


def _for_draft(model: ModelCondition, *commands: str) -> tuple[str, ...]:
    """The commands, or none for a model whose samples are frozen, which refuses them."""
    return commands if model.state in (*DRAFTS, "unknown") else ()
