"""Reviews a choice by the probe and the search for shortcuts, and chooses again without what they find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.asking.plan import CellHints, Plan
from engine.axis.pole_scores import measure_pole_scores
from engine.choosing.choice import Choice, ChoiceContext, choose_exemplars, rank_by_side
from engine.choosing.probe import Probe, find_no_poles, probe_trait
from engine.choosing.shortcuts import Shortcut, find_shortcuts
from engine.domain.model import OTHER_POLE, Pole
from engine.domain.samples import Exemplar
from engine.text.embedding import Embedder
from engine.text.words import take_opening

# How often a choice is made again at most: what comes in place of a replaced exemplar is looked at too.
MAX_PASSES = 3
# By how much the probe's AUC may fall where pairs are exchanged to counter a shortcut: at eight texts a pole, by one of
# the 64 comparisons of two texts.
MAX_PROBE_LOSS = 0.02
SHOTS = 8
OPENING_WORDS = 3
MAX_OPENINGS = 12


@dataclass(frozen=True, slots=True)
class Recheck:
    """The findings on a choice.

    ``carriers`` has the keys of chosen exemplars that carry a shortcut.
    """

    probes: tuple[Probe, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    carriers: frozenset[str] = frozenset()

    @property
    def wrong_side(self) -> frozenset[str]:
        """The keys of chosen exemplars that lie on the other pole's side."""
        return frozenset(key for probe in self.probes for key in probe.wrong_side)

    @property
    def to_replace(self) -> frozenset[str]:
        """The keys of all chosen exemplars that should be replaced."""
        return self.wrong_side | self.carriers


def choose_rechecked(
    plan: Plan, exemplars: Sequence[Exemplar], context: ChoiceContext, embedder: Embedder
) -> tuple[Choice, Recheck]:
    """Chooses among all exemplars and looks at the choice again.

    The choice is made again with other exemplars before those that carry a shortcut, and, if the effort allows
    replacements, without those on the other pole's side, as long as that does not leave fewer chosen. If it allows
    none, pairs are exchanged that make a word, an opening or the length tell the poles apart.
    """
    choice = choose_exemplars(plan, exemplars, context)
    recheck = recheck_choice(plan, choice, embedder)
    for _ in range(MAX_PASSES):
        shortcut_carriers = context.shortcut_carriers | _find_carriers(exemplars, recheck.shortcuts)
        excluded = context.excluded | (recheck.wrong_side if plan.level.replacement_rounds else frozenset())
        stricter = replace(context, excluded=excluded, shortcut_carriers=shortcut_carriers)
        if stricter == context:
            break
        other = choose_exemplars(plan, exemplars, stricter)
        if len(other.chosen) < len(choice.chosen):
            break
        context, choice = stricter, other
        recheck = recheck_choice(plan, choice, embedder)
    if plan.level.replacement_rounds:
        return choice, recheck
    return _exchange(plan, exemplars, context, embedder, recheck)


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice among all exemplars of a run, with its recheck and the pole scores, by exemplar key, behind it.

    ``no_poles`` has the AUC of each trait of whose accepted exemplars nothing tells the poles apart.
    """

    choice: Choice
    recheck: Recheck
    pole_scores: Mapping[str, float]
    no_poles: Mapping[str, float]


def decide(
    plan: Plan,
    exemplars: Sequence[Exemplar],
    judge_aucs: Mapping[str, float],
    embedder: Embedder,
    only_clear: bool,
) -> Decision:
    """Chooses among all exemplars and looks at the choice again; a pure function that another process can call.

    Args:
        judge_aucs: by trait key, see ``InContextJudge.measure_aucs``.
    """
    supports_language = plan.language.encoder_supports_language
    accepted = [exemplar for exemplar in exemplars if exemplar.is_accepted]
    pole_scores: dict[str, float] = {}
    no_poles: dict[str, float] = {}
    for trait in plan.model.traits:
        own = [exemplar for exemplar in accepted if exemplar.trait == trait.key]
        placed = measure_pole_scores(plan.axes.get(trait.key), own, judge_aucs.get(trait.key), embedder)
        pole_scores |= placed
        # Claims are left out: the encoder sees manner and subject, and not what is said of it.
        if supports_language and trait.type != "claim" and (auc := find_no_poles(own, placed, embedder)) is not None:
            no_poles[trait.key] = auc
    seen = accepted if supports_language else []
    vectors = embedder.embed([exemplar.text or "" for exemplar in seen])
    by_key = dict(zip((exemplar.key for exemplar in seen), vectors, strict=True))
    context = ChoiceContext(pole_scores, by_key, only_clear=only_clear)
    choice, recheck = choose_rechecked(plan, exemplars, context, embedder)
    return Decision(choice, recheck, pole_scores, no_poles)


def recheck_choice(plan: Plan, choice: Choice, embedder: Embedder) -> Recheck:
    """Probes the chosen exemplars of each trait and searches them for shortcuts."""
    probes, shortcuts = [], list[Shortcut]()
    asked = embedder if plan.language.encoder_supports_language else None
    for trait in plan.model.traits:
        own = [exemplar for exemplar in choice.chosen if exemplar.trait == trait.key]
        probe = probe_trait(trait.key, own, asked)
        probes.append(probe)
        shortcuts += find_shortcuts(trait.key, trait.type, own, probe.auc, asked)
    return Recheck(tuple(probes), tuple(shortcuts), _find_carriers(choice.chosen, shortcuts))


def make_hints(
    plan: Plan, choice: Choice, recheck: Recheck, pole_scores: Mapping[str, float]
) -> dict[tuple[str, Pole], CellHints]:
    """Makes the hints for the next round's cells, by trait key and pole: texts to follow, and what to avoid.

    Those to follow lie farthest on their own pole's side.
    """
    hints = {}
    for trait, pole in plan.model.poles:
        chosen, other = choice.at(trait, pole), OTHER_POLE[pole]
        own = [shortcut for shortcut in recheck.shortcuts if shortcut.trait == trait]
        # Authored texts are the better ones to follow, and to be told from.
        shots = [] if plan.model.examples_at(trait, pole) else rank_by_side(chosen, pole_scores)[:SHOTS]
        rivals = [] if plan.model.examples_at(trait, other) else rank_by_side(choice.at(trait, other), pole_scores)
        openings = [take_opening(exemplar.text or "", OPENING_WORDS) for exemplar in reversed(chosen)]
        banned = [item.what for item in own if item.kind in ("word", "opening") and item.pole == pole]
        hints[trait, pole] = CellHints(
            shots=tuple((exemplar.scenario.subject, exemplar.text or "") for exemplar in shots),
            contrast=(rivals[0].text or "") if rivals else "",
            openings=tuple(dict.fromkeys(openings))[:MAX_OPENINGS],
            banned=tuple(dict.fromkeys(banned)),
            words=next((item.words for item in own if item.kind == "length"), None),
        )
    return hints


def _exchange(
    plan: Plan, exemplars: Sequence[Exemplar], context: ChoiceContext, embedder: Embedder, recheck: Recheck
) -> tuple[Choice, Recheck]:
    """Chooses with exchanges, fewer or none for the traits of which the probe would do worse than in ``recheck``."""
    most = {trait.key: plan.max_quota for trait in plan.model.traits}
    least = {probe.trait: (probe.auc or 0.0) - MAX_PROBE_LOSS for probe in recheck.probes}
    while True:
        choice = choose_exemplars(plan, exemplars, replace(context, exchanges=most))
        after = recheck_choice(plan, choice, embedder)
        worse = {probe.trait for probe in after.probes if most[probe.trait] and (probe.auc or 0.0) < least[probe.trait]}
        if not worse:
            return choice, after
        most = {trait: count // 2 if trait in worse else count for trait, count in most.items()}


def _find_carriers(exemplars: Sequence[Exemplar], shortcuts: Sequence[Shortcut]) -> frozenset[str]:
    """Finds exemplars that carry a shortcut: its word at its pole, or a length that the other pole does not have."""
    return frozenset(
        exemplar.key
        for shortcut in shortcuts
        for exemplar in exemplars
        if exemplar.trait == shortcut.trait
        and (shortcut.kind == "length" or exemplar.pole == shortcut.pole)
        and exemplar.text
        and shortcut.appears_in(exemplar.text)
    )
