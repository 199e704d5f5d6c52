"""The review: what the probe and the search for shortcuts say of a choice, and the choice made anew by their word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain.model import POLES, Model, Pole
from engine.domain.samples import Exemplar
from engine.planning.plan import CellHints, Plan
from engine.quality.pole_scores import measure_pole_scores
from engine.quality.probe import Probe, probe_trait
from engine.quality.shortcuts import Shortcut, find_shortcuts
from engine.selection.choice import Choice, ChoiceContext, choose_exemplars
from engine.text.embedding import Embedder

# What is named goes, and what comes in its place is looked at again: so often at most.
MAX_PASSES = 3
SHOTS = 8
OPENING_WORDS = 3
MAX_OPENINGS = 12


@dataclass(frozen=True, slots=True)
class Review:
    """What was found in a choice. ``carriers`` has the keys of chosen exemplars that carry a shortcut."""

    probes: tuple[Probe, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    carriers: frozenset[str] = frozenset()

    @property
    def wrong_side(self) -> frozenset[str]:
        """The keys of chosen exemplars that lie on the other pole's side."""
        return frozenset(key for probe in self.probes for key in probe.wrong_side)

    @property
    def named(self) -> frozenset[str]:
        """The keys of all that had better be replaced."""
        return self.wrong_side | self.carriers


def choose_reviewed(
    plan: Plan, exemplars: Sequence[Exemplar], context: ChoiceContext, embedder: Embedder
) -> tuple[Choice, Review]:
    """The choice among all exemplars, and what the review says of it.

    Where the effort replaces what is named, the choice is made again without it, as long as as many are chosen.
    """
    choice = choose_exemplars(plan, exemplars, context)
    review = review_choice(plan, choice, embedder)
    for _ in range(MAX_PASSES if plan.level.replacement_rounds else 0):
        if not review.named:
            break
        shortcut_carriers = context.shortcut_carriers | _find_carriers(exemplars, review.shortcuts)
        stricter = replace(context, excluded=context.excluded | review.wrong_side, shortcut_carriers=shortcut_carriers)
        other = choose_exemplars(plan, exemplars, stricter)
        if len(other.chosen) < len(choice.chosen) or (stricter == context):
            break
        context, choice = stricter, other
        review = review_choice(plan, choice, embedder)
    return choice, review


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice among all exemplars of a run, with its review and the pole scores, by exemplar key, behind it."""

    choice: Choice
    review: Review
    pole_scores: Mapping[str, float]


def decide(
    plan: Plan, exemplars: Sequence[Exemplar], judge_aucs: Mapping[str, float], embedder: Embedder, strict: bool
) -> Decision:
    """The choice among all exemplars; a pure function, which can be pickled and called in another process."""
    context = make_choice_context(plan, exemplars, judge_aucs, embedder, strict)
    choice, review = choose_reviewed(plan, exemplars, context, embedder)
    return Decision(choice, review, context.pole_scores)


def list_accepted_texts(model: Model, exemplars: Sequence[Exemplar]) -> list[list[str]]:
    """The texts of what stands, trait by trait: as ``make_choice_context`` has them embedded."""
    return [
        [exemplar.text or "" for exemplar in exemplars if exemplar.is_accepted and exemplar.trait == trait.key]
        for trait in model.traits
    ]


def make_choice_context(
    plan: Plan, exemplars: Sequence[Exemplar], judge_aucs: Mapping[str, float], embedder: Embedder, strict: bool
) -> ChoiceContext:
    """Where what stands lies between the poles, and how near to one another."""
    accepted = [exemplar for exemplar in exemplars if exemplar.is_accepted]
    pole_scores: dict[str, float] = {}
    for trait in plan.model.traits:
        own = [exemplar for exemplar in accepted if exemplar.trait == trait.key]
        pole_scores |= measure_pole_scores(plan.model, trait, own, judge_aucs.get(trait.key), embedder)
    vectors = embedder.embed([exemplar.text or "" for exemplar in accepted])
    by_key = dict(zip((exemplar.key for exemplar in accepted), vectors, strict=True))
    return ChoiceContext(pole_scores, by_key, strict=strict)


def review_choice(plan: Plan, choice: Choice, embedder: Embedder) -> Review:
    """What the probe and the search for shortcuts say of what is chosen, trait by trait."""
    probes, shortcuts = [], list[Shortcut]()
    for trait in plan.model.traits:
        own = [exemplar for exemplar in choice.chosen if exemplar.trait == trait.key]
        probe = probe_trait(trait.key, own, embedder)
        probes.append(probe)
        shortcuts += find_shortcuts(trait.key, trait.type, own, probe.auc, embedder)
    return Review(tuple(probes), tuple(shortcuts), _find_carriers(choice.chosen, shortcuts))


def make_hints(
    plan: Plan, choice: Choice, review: Review, pole_scores: Mapping[str, float]
) -> dict[tuple[str, Pole], CellHints]:
    """What the next round's cells are told, by trait and pole: what to begin from, and what to keep away from."""
    return {
        (trait.key, pole): _hint(plan, trait.key, pole, choice, review, pole_scores)
        for trait in plan.model.traits
        for pole in POLES
    }


def _hint(
    plan: Plan, trait: str, pole: Pole, choice: Choice, review: Review, pole_scores: Mapping[str, float]
) -> CellHints:
    chosen = [exemplar for exemplar in choice.chosen if (exemplar.trait, exemplar.pole) == (trait, pole)]
    own = [shortcut for shortcut in review.shortcuts if shortcut.trait == trait]
    lengths = [shortcut.words for shortcut in own if shortcut.kind == "length"]
    return CellHints(
        shots=() if plan.model.seeds_at(trait, pole) else _pick_shots(chosen, pole, pole_scores),
        contrast=_pick_contrast(plan, choice, trait, pole, pole_scores),
        openings=_list_openings(chosen),
        banned=tuple(
            dict.fromkeys(item.what for item in own if item.kind in ("word", "opening") and item.pole == pole)
        ),
        words=lengths[0] if lengths else None,
    )


def _pick_shots(
    chosen: Sequence[Exemplar], pole: Pole, pole_scores: Mapping[str, float]
) -> tuple[tuple[str, str], ...]:
    """The exemplars that lie farthest on their pole's side, as subject and text."""
    sign = 1 if pole == "positive" else -1
    best = sorted(chosen, key=lambda exemplar: (-sign * pole_scores.get(exemplar.key, 0.0), exemplar.order))
    return tuple((exemplar.scenario.subject, exemplar.text or "") for exemplar in best[:SHOTS])


def _pick_contrast(plan: Plan, choice: Choice, trait: str, pole: Pole, pole_scores: Mapping[str, float]) -> str:
    """The text of the other pole that lies farthest on its own side; none where there are authored ones to take."""
    other: Pole = "negative" if pole == "positive" else "positive"
    if plan.model.seeds_at(trait, other):
        return ""
    own = [exemplar for exemplar in choice.chosen if (exemplar.trait, exemplar.pole) == (trait, other)]
    shots = _pick_shots(own, other, pole_scores)
    return shots[0][1] if shots else ""


def _list_openings(chosen: Sequence[Exemplar]) -> tuple[str, ...]:
    """The first words of what is chosen, each once, the latest first."""
    openings = [" ".join((exemplar.text or "").split()[:OPENING_WORDS]) for exemplar in reversed(chosen)]
    return tuple(dict.fromkeys(openings))[:MAX_OPENINGS]


def _find_carriers(exemplars: Sequence[Exemplar], shortcuts: Sequence[Shortcut]) -> frozenset[str]:
    """The keys of those that carry a shortcut: its word at its pole, or a length that the other pole does not have."""
    return frozenset(
        exemplar.key
        for shortcut in shortcuts
        for exemplar in exemplars
        if exemplar.trait == shortcut.trait
        and (shortcut.kind == "length" or exemplar.pole == shortcut.pole)
        and exemplar.text
        and shortcut.appears_in(exemplar.text)
    )
