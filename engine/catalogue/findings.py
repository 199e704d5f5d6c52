"""Decides what of a model needs a person, most pressing first, each with the commands that mend it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from engine.catalogue.condition import Drift, ModelCondition, TraitAngle, TraitCondition
from engine.definitions.lifecycle import DRAFTS
from engine.domain.model import POLES, Pole
from engine.quality.probe import CLEARLY_AUC, MIN_AUC
from engine.text.formatting import count_noun, join_words, shorten

# Of fewer samples a pole nothing is said.
MIN_TEXTS = 8

Kind = Literal[
    "broken",
    "failed",
    "waits",
    "drift",
    "hardly apart",
    "entangled",
    "orphaned",
    "changed",
    "lacking",
    "unbalanced",
    "unwritten",
    "empty",
]
# The most pressing first.
KINDS: tuple[Kind, ...] = get_args(Kind)
# Nothing is wrong with these: their author has not come to them yet.
CALM: frozenset[Kind] = frozenset(("unwritten", "empty"))

# As in the gate's suite ``whole``.
MIN_POLE_SHARE = 0.4
# From this cosine on, 37° and less, two thirds of what one axis measures (the square) are what the other does. Traits
# of one model that were written to be two had .13 to .61. It has to be above SURELY_COSINE in 19 cases of 20 too, since
# a weak axis may have any cosine (docs/decisions/060-the-catalogues-health.md).
ENTANGLED_COSINE = 0.8
SURELY_COSINE = 0.5
# Of so many standard errors a figure is less in 19 cases of 20.
ONE_SIDED = 1.645
# Texts of two newsgroups on neighbouring subjects are told apart with .85 to .96 from 20 texts a side on.
DRIFT_AUC = 0.85
# With fewer standard deviations of chance, of 1,000 models several would drift by the luck of the draw.
DRIFT_DEVIATIONS = 3.0
APART_REMEDY = "Say in its description and its seeds what separates the poles, then make samples anew"
CLAIM_REMEDY = (
    "An encoder sees subject and manner, and not whether a text affirms the claim or denies it: read ten texts of each "
    "pole, and where they are wrong make samples anew with a stronger synth model"
)
FAILED = ("failed", "rejected")
MOST_SAID, MOST_QUOTED = 300, 120
# Sets that are named one by one.
MOST_SETS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that needs a person: what, in a sentence or two, and what to type, a line each; perhaps nothing."""

    kind: Kind
    said: str
    commands: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What was found, with a full stop."""
        return self.said if self.said.endswith((".", "!", "?", "…")) else f"{self.said}."

    @property
    def is_calm(self) -> bool:
        """Whether nothing is wrong."""
        return self.kind in CALM


def list_findings(model: ModelCondition) -> list[Finding]:
    """Lists what needs a person, most pressing first. Nothing is to be typed where a trained model is frozen."""
    return sorted(_find(model), key=lambda finding: KINDS.index(finding.kind))


def _find(model: ModelCondition) -> Iterator[Finding]:
    for fault in model.faults:
        yield Finding("broken", fault.said, fault.commands)
    if model.state == "missing":
        yield from _find_orphaned(model)
        return
    if model.unwritten:
        yield Finding("unwritten", model.unwritten, (f"exemplars plan {model.handle}",))
    yield from _find_in_runs(model)
    yield from _find_in_texts(model)
    yield from _find_changed(model)
    yield from _find_in_counts(model)


def _find_orphaned(model: ModelCondition) -> Iterator[Finding]:
    """Samples of a model that the catalogue does not have: it was renamed, or taken away."""
    attached = sum((trait.attached + trait.held_out).total for trait in model.traits)
    if attached:
        said = f"{count_noun(attached, 'sample')} in the store, and no model of this name in the catalogue"
        yield Finding("orphaned", f"{said}. Bring its folder back, or take its sets off", _detach(model.attached_runs))


def _find_in_runs(model: ModelCondition) -> Iterator[Finding]:
    last = model.last
    if last is not None and last.status in FAILED:
        why = f": {shorten(' '.join(last.said.split()), MOST_SAID)}" if last.said else ""
        effort = f" --effort {last.effort}" if last.effort else ""
        again = f"exemplars synthesize {model.handle} --synth-type {last.synth_type}{effort}"
        said = f"Run {last.run_id} attached nothing{why}"
        yield Finding("failed", said, (again,) if last.synth_type == "enrich" else _for_draft(model, again))
    for run in model.proposed:
        said = f"Read the report of run {run}, then attach its set or reject it"
        yield Finding("waits", said, (f"exemplars review {run} --attach", f"exemplars review {run} --reject"))


def _find_in_texts(model: ModelCondition) -> Iterator[Finding]:
    again = _for_draft(model, f"exemplars synthesize {model.handle}")
    for trait in model.traits:
        if is_hardly_apart(trait):
            remedy = CLAIM_REMEDY if trait.type == "claim" else APART_REMEDY
            yield Finding("hardly apart", f"{trait.name}: {describe_apart(trait)}. {remedy}", again)
    names = {trait.key: trait.name for trait in model.traits}
    for angle in list_entangled(model):
        turned = ", one turned round" if angle.cosine < 0 else ""
        said = (
            f"{names[angle.one]} and {names[angle.other]}: {describe_angle(angle)}{turned}. Take one of them out of "
            "model.yaml, or add seeds that are at one pole of the one and the other pole of the other"
        )
        yield Finding("entangled", said, again)
    for trait in model.traits:
        if trait.measure and (drift := trait.measure.drift) and is_drift(drift):
            said = f"{trait.name}: {describe_drift(trait, drift)}. Read its report; take it off if it is not wanted"
            yield Finding("drift", said, _for_draft(model, f"exemplars detach {drift.run_id}"))


def _find_changed(model: ModelCondition) -> Iterator[Finding]:
    if model.changed:
        said = (
            f"{count_noun(len(model.changed), 'attached set was', 'attached sets were')} made for other traits, "
            "another brief or other authored samples. Take off what no longer fits, and make samples for what stands "
            "there now"
        )
        again = f"exemplars synthesize {model.handle}"
        yield Finding("changed", said, _for_draft(model, *_detach(model.changed), again))


def _find_in_counts(model: ModelCondition) -> Iterator[Finding]:
    again = f"exemplars synthesize {model.handle}"
    if not any(trait.attached.total for trait in model.traits):
        if model.traits and not model.proposed and not model.faults:
            yield Finding("empty", "No run of it has attached any", _for_draft(model, again))
        return
    for trait in model.traits:
        none = [trait.labels[pole] for pole in POLES if not trait.attached.at(pole)]
        fill = _for_draft(model, f"{again} --only-lacking")
        if trait.defined and none:
            yield Finding("lacking", f"{trait.name}: none is {join_words(none)}", fill)
        elif is_unbalanced(trait):
            both = trait.authored + trait.attached
            counts = " and ".join(f"{both.at(pole):,} {trait.labels[pole]}" for pole in POLES)
            # What is unbalanced by its authored samples is outweighed by more of both poles.
            typed = fill if is_unbalanced(trait, attached_only=True) else _for_draft(model, again)
            yield Finding("unbalanced", f"{trait.name}: {counts}", typed)


def is_hardly_apart(trait: TraitCondition) -> bool:
    """Whether the poles of a trait with samples hardly differ, or its clusters overlap, so no grade is given."""
    measure = trait.measure
    if measure is None or measure.auc is None:
        return False
    if min(trait.attached.positive, trait.attached.negative) < MIN_TEXTS:
        return False
    return measure.auc < MIN_AUC or bool(measure.overlap)


def list_entangled(model: ModelCondition) -> list[TraitAngle]:
    """The angles between traits of a model that say one thing."""
    return [angle for angle in (model.measures.angles if model.measures else ()) if is_entangled(angle)]


def is_entangled(angle: TraitAngle) -> bool:
    """Whether two traits say one thing, or one the other turned round."""
    size = abs(angle.cosine)
    return size >= ENTANGLED_COSINE and size - ONE_SIDED * angle.error >= SURELY_COSINE


def is_drift(drift: Drift) -> bool:
    """Whether the last set is unlike the earlier ones, or their axis does not grade it."""
    return bool(list_drifted(drift)) or is_ungraded(drift)


def list_drifted(drift: Drift) -> list[Pole]:
    """The poles at which the last set is unlike the earlier ones; both where the two together surely are."""
    alone = [pole for pole in POLES if _is_drifted(drift.told_apart[pole], drift.errors[pole])]
    # The average of two has a standard deviation of half the root of the sum of their squares.
    error = math.hypot(*drift.errors.values()) / 2
    return list(POLES) if _is_drifted(average_drift(drift), error) else alone


def average_drift(drift: Drift) -> float:
    """How often a text of the last set can be told from an earlier one of its pole, over both poles."""
    return sum(drift.told_apart.values()) / len(drift.told_apart)


def is_ungraded(drift: Drift) -> bool:
    """Whether the axis of the earlier sets clearly tells their own poles apart, and hardly those of the last."""
    if drift.graded is None or drift.own is None:
        return False
    return drift.own >= CLEARLY_AUC and drift.graded < MIN_AUC


def is_unbalanced(trait: TraitCondition, attached_only: bool = False) -> bool:
    """Whether a pole has a smaller share of a trait's samples than the gate warns of."""
    both = trait.attached if attached_only else trait.authored + trait.attached
    at_poles = both.positive + both.negative
    return at_poles > 0 and min(both.positive, both.negative) < MIN_POLE_SHARE * at_poles


def describe_apart(trait: TraitCondition) -> str:
    """How well a trait's poles are told apart, in a clause."""
    assert trait.measure is not None
    assert trait.measure.auc is not None
    overlap = ", and their clusters overlap" if trait.measure.overlap else ""
    return f"AUC {trait.measure.auc:.2f}{overlap}"


def describe_angle(angle: TraitAngle) -> str:
    """The angle between the axes of two traits, in a clause."""
    degrees = math.degrees(math.acos(abs(angle.cosine)))
    return f"{degrees:.0f}° between their axes (cosine {angle.cosine:.2f} ± {angle.error:.2f})"


def describe_drift(trait: TraitCondition, drift: Drift) -> str:
    """What has drifted, in a clause."""
    said = []
    if poles := list_drifted(drift):
        texts = "texts" if len(poles) > 1 else f"{trait.labels[poles[0]]} texts"
        told = average_drift(drift) if len(poles) > 1 else drift.told_apart[poles[0]]
        said.append(f"its {texts} are told from earlier ones in {told:.0%} of pairs")
    if is_ungraded(drift):
        aucs = f"(AUC {drift.graded:.2f}, theirs {drift.own:.2f})"
        said.append(f"the earlier ones’ axis hardly tells its poles apart {aucs}")
    return f"the last set is that of run {drift.run_id}; {', and '.join(said)}"


def _is_drifted(told: float, error: float) -> bool:
    return told >= DRIFT_AUC and told - 0.5 >= DRIFT_DEVIATIONS * error


def _for_draft(model: ModelCondition, *commands: str) -> tuple[str, ...]:
    """The commands, or none for a model whose samples are frozen, which refuses them."""
    return commands if model.state in (*DRAFTS, "unknown") else ()


def _detach(runs: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"exemplars detach {run}" for run in runs[:MOST_SETS])
