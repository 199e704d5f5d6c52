"""The review: what the probe and the search for shortcuts say of a choice, and the choice made anew by their word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain.model import POLES, Model, Pole
from engine.domain.samples import Exemplar
from engine.planning.plan import Hints, Plan
from engine.quality.pole_scores import place_exemplars
from engine.quality.probe import Probe, probe_trait
from engine.quality.shortcuts import Shortcut, find_shortcuts
from engine.selection.choice import Choice, View, choose_exemplars
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


def choose_reviewed(plan: Plan, exemplars: Sequence[Exemplar], view: View, embedder: Embedder) -> tuple[Choice, Review]:
    """The choice among all exemplars, and what the review says of it.

    Where the effort replaces what is named, the choice is made again without it, as long as as many are chosen.
    """
    choice = choose_exemplars(plan, exemplars, view)
    review = review_choice(plan, choice, embedder)
    for _ in range(MAX_PASSES if plan.level.replacement_rounds else 0):
        if not review.named:
            break
        marked = view.marked | _find_carriers(exemplars, review.shortcuts)
        stricter = replace(view, barred=view.barred | review.wrong_side, marked=marked)
        other = choose_exemplars(plan, exemplars, stricter)
        if len(other.chosen) < len(choice.chosen) or (stricter == view):
            break
        view, choice = stricter, other
        review = review_choice(plan, choice, embedder)
    return choice, review


def list_standing(model: Model, exemplars: Sequence[Exemplar]) -> list[list[str]]:
    """The texts of what stands, trait by trait: as ``make_view`` has them embedded."""
    return [
        [exemplar.text or "" for exemplar in exemplars if exemplar.stands and exemplar.trait == trait.key]
        for trait in model.traits
    ]


def make_view(
    plan: Plan, exemplars: Sequence[Exemplar], judge_aucs: Mapping[str, float], embedder: Embedder, strict: bool
) -> View:
    """Where what stands lies between the poles, and how near to one another."""
    standing = [exemplar for exemplar in exemplars if exemplar.stands]
    places: dict[str, float] = {}
    for trait in plan.model.traits:
        own = [exemplar for exemplar in standing if exemplar.trait == trait.key]
        places |= place_exemplars(plan.model, trait, own, judge_aucs.get(trait.key), embedder)
    vectors = embedder.embed([exemplar.text or "" for exemplar in standing])
    by_key = dict(zip((exemplar.key for exemplar in standing), vectors, strict=True))
    return View(places, by_key, strict=strict)


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
    plan: Plan, choice: Choice, review: Review, places: Mapping[str, float]
) -> dict[tuple[str, Pole], Hints]:
    """What the next round's cells are told, by trait and pole: what to begin from, and what to keep away from."""
    return {
        (trait.key, pole): _hint(plan, trait.key, pole, choice, review, places)
        for trait in plan.model.traits
        for pole in POLES
    }


def _hint(plan: Plan, trait: str, pole: Pole, choice: Choice, review: Review, places: Mapping[str, float]) -> Hints:
    chosen = [exemplar for exemplar in choice.chosen if (exemplar.trait, exemplar.pole) == (trait, pole)]
    own = [shortcut for shortcut in review.shortcuts if shortcut.trait == trait]
    lengths = [shortcut.words for shortcut in own if shortcut.kind == "length"]
    return Hints(
        shots=() if plan.model.seeds_at(trait, pole) else _pick_shots(chosen, pole, places),
        contrast=_pick_contrast(plan, choice, trait, pole, places),
        openings=_list_openings(chosen),
        banned=tuple(
            dict.fromkeys(item.what for item in own if item.kind in ("word", "opening") and item.pole == pole)
        ),
        words=lengths[0] if lengths else None,
    )


def _pick_shots(chosen: Sequence[Exemplar], pole: Pole, places: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    """The exemplars that lie farthest on their pole's side, as subject and text."""
    sign = 1 if pole == "positive" else -1
    best = sorted(chosen, key=lambda exemplar: (-sign * places.get(exemplar.key, 0.0), exemplar.order))
    return tuple((exemplar.scenario.subject, exemplar.text or "") for exemplar in best[:SHOTS])


def _pick_contrast(plan: Plan, choice: Choice, trait: str, pole: Pole, places: Mapping[str, float]) -> str:
    """The text of the other pole that lies farthest on its own side; none where there are authored ones to take."""
    other: Pole = "negative" if pole == "positive" else "positive"
    if plan.model.seeds_at(trait, other):
        return ""
    own = [exemplar for exemplar in choice.chosen if (exemplar.trait, exemplar.pole) == (trait, other)]
    shots = _pick_shots(own, other, places)
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
        and shortcut.marks(exemplar.text)
    )
