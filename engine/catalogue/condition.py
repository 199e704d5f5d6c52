"""The condition of one model, and its findings that need a person, the most urgent first, with commands to fix them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engine.definitions.lifecycle import DRAFTS
from engine.domain.definition import Pole
from engine.domain.model import POLES
from engine.llm.client.prices import add_costs
from engine.text.formatting import count_noun, join_words, shorten

Kind = Literal["broken", "failed", "waits", "hardly apart", "same axis", "lacking", "unbalanced", "older", "empty"]
# Names of the kinds of findings, the most urgent first.
KINDS: Mapping[Kind, str] = {
    "broken": "cannot be read",
    "failed": "last run failed",
    "waits": "waits for your decision",
    "hardly apart": "poles hardly separated",
    "same axis": "two traits measure the same",
    "lacking": "a pole has no samples",
    "unbalanced": "unbalanced poles",
    "older": "older definition",
    "empty": "no samples yet",
}
# Minimum share of each pole, as in the gate's suite ``whole``.
MIN_POLE_SHARE = 0.4
MAX_MESSAGE_CHARS = 300

# Number of samples of one trait by pole.
Counts = Mapping[Pole, int]


@dataclass(frozen=True, slots=True)
class TraitCondition:
    """One trait of a model, with the labels of its poles.

    Args:
        auc: how well the last attached set with enough texts separates the poles, from its verdict; else None.
        inseparable: that verdict's finding that the poles are hardly or not separated, in sentences; else empty.
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
    """A run that wrote a set.

    Args:
        status: the set's status, ``attached``, ``proposed``, ``rejected`` or ``detached``; ``turned down`` if a
            review has rejected the proposed set.
        created_at: when the run was first scheduled, from the manifest.
        message: why nothing was attached, in one or two sentences; else empty.
        written_at: when the set was written.
        attached_at: None if the set is not attached.
        samples: the present number of samples in the set.
        cost_usd: None if the cost is unknown.
    """

    run_id: str
    status: str
    created_at: str
    synth_type: str
    effort: str | None
    message: str
    written_at: datetime
    attached_at: datetime | None
    samples: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class ModelFinding:
    """A problem that needs a person: a message of one or two sentences, and the commands to type, if any."""

    kind: Kind
    message: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelCondition:
    """The condition of one model.

    Args:
        state: the state in the lifecycle file; ``unknown`` if the file cannot be read or the model does not exist.
        alike: pairs of traits with axes in the same or opposite direction, and the cosine of the axes.
        proposed: runs with a proposed set that waits for a person.
        sets: number of attached sets, except the sets that are set aside for evaluation.
        set_aside: number of samples in the sets for evaluation.
        older_samples: number of attached samples that were generated for an older definition.
        runs: all runs that wrote a set.
        faults: files and sets that cannot be read.
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
    faults: tuple[ModelFinding, ...] = ()

    @property
    def last(self) -> PastRun | None:
        """Return the run that wrote the newest set."""
        return max(self.runs, key=lambda run: run.created_at, default=None)

    @property
    def cost_usd(self) -> float | None:
        """Return the cost of all runs that wrote a set; None if no price is known."""
        return add_costs(*(run.cost_usd for run in self.runs))

    @property
    def findings(self) -> list[ModelFinding]:
        """Return the findings, the most urgent first; without commands if the model is frozen and would refuse them."""
        return sorted(_list_findings(self), key=lambda finding: list(KINDS).index(finding.kind))

    @property
    def needs_person(self) -> bool:
        """Return whether a finding needs a person; the finding ``empty`` does not."""
        return any(finding.kind != "empty" for finding in self.findings)


def _list_findings(model: ModelCondition) -> Iterator[ModelFinding]:
    yield from model.faults
    command = f"exemplars synthesize {model.handle}"
    last = model.last
    if last is not None and last.status == "rejected":
        why = f": {shorten(' '.join(last.message.split()), MAX_MESSAGE_CHARS)}" if last.message else ""
        effort = f" --effort {last.effort}" if last.effort else ""
        retry = f"{command} --synth-type {last.synth_type}{effort}"
        message = f"Run {last.run_id} attached nothing{why}"
        yield ModelFinding("failed", message, (retry,) if last.synth_type == "enrich" else _for_draft(model, retry))
    for run in model.proposed:
        message = f"Read the report of run {run}, then attach its set or reject it"
        yield ModelFinding("waits", message, (f"exemplars review {run} --attach", f"exemplars review {run} --reject"))
    for trait in model.traits:
        if trait.inseparable:
            message = f"{trait.name}, in the last set: {trait.inseparable}"
            yield ModelFinding("hardly apart", message, _for_draft(model, command))
    for one, other, cosine in model.alike:
        direction = ", in opposite directions" if cosine < 0 else ""
        message = (
            f"{one} and {other}: their axes have a cosine of {cosine:.2f}{direction}. Remove one from model.yaml, "
            "or add seeds with different poles for the two traits"
        )
        yield ModelFinding("same axis", message, _for_draft(model, command))
    yield from _list_count_findings(model, command)


def _list_count_findings(model: ModelCondition, command: str) -> Iterator[ModelFinding]:
    if not any(any(trait.attached.values()) for trait in model.traits):
        if model.traits and not model.proposed and not model.faults:
            yield ModelFinding("empty", "No run has attached samples", _for_draft(model, command))
        return
    if model.older_samples and (refresh := _for_draft(model, f"{command} --refresh")):
        message = f"Generated for an older definition: {count_noun(model.older_samples, 'sample')}"
        yield ModelFinding("older", message, refresh)
    fill = _for_draft(model, f"{command} --only-lacking")
    for trait in model.traits:
        empty = [trait.labels[pole] for pole in POLES if not trait.attached[pole]]
        totals = {pole: trait.authored[pole] + trait.attached[pole] for pole in POLES}
        if empty:
            yield ModelFinding("lacking", f"{trait.name}: no samples for {join_words(empty)}", fill)
        elif _is_unbalanced(totals):
            counts = " and ".join(f"{totals[pole]:,} {trait.labels[pole]}" for pole in POLES)
            # If only the authored samples are unbalanced, more samples of both poles outweigh them.
            commands = fill if _is_unbalanced(trait.attached) else _for_draft(model, command)
            yield ModelFinding("unbalanced", f"{trait.name}: {counts}", commands)


def _is_unbalanced(counts: Counts) -> bool:
    return min(counts.values()) < MIN_POLE_SHARE * sum(counts.values())


def _for_draft(model: ModelCondition, *commands: str) -> tuple[str, ...]:
    """Return the commands, or none for a model with frozen samples, which refuses them."""
    return commands if model.state in (*DRAFTS, "unknown") else ()
