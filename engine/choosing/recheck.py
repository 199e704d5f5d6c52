"""Check a choice with the probe and the search for shortcuts, and choose again without the exemplars that fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.asking.plan import CellHints, Plan
from engine.axis.pole_scores import measure_pole_scores
from engine.choosing.choice import Choice, ChoiceContext, choose_exemplars, rank_by_side
from engine.choosing.probe import Probe, find_inseparable, probe_trait
from engine.choosing.shortcuts import Shortcut, find_shortcuts
from engine.domain.definition import Pole
from engine.domain.model import OTHER_POLE
from engine.domain.samples import Exemplar
from engine.text.embedding import Embedder
from engine.text.words import take_opening

# The maximum number of repeated choices. Each repetition also checks the replacements.
MAX_PASSES = 3
# The largest allowed fall of the probe's AUC when pairs are exchanged to counter a shortcut: at eight texts a pole, one
# of the 64 comparisons of two texts.
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
        """Return the keys of chosen exemplars on the wrong side."""
        return frozenset(key for probe in self.probes for key in probe.wrong_side)

    @property
    def to_replace(self) -> frozenset[str]:
        """Return the keys of all chosen exemplars that should be replaced."""
        return self.wrong_side | self.carriers


def choose_rechecked(
    plan: Plan, exemplars: Sequence[Exemplar], context: ChoiceContext, embedder: Embedder
) -> tuple[Choice, Recheck]:
    """Choose among all exemplars, and recheck the choice.

    The choice is repeated: exemplars that carry a shortcut come last and, if the effort allows replacements, exemplars
    on the wrong side are excluded. It ends before fewer exemplars would be chosen. If the effort allows no
    replacements, pairs are exchanged so that no word, opening or length separates the poles.
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
    """A choice among all exemplars of a run, with its recheck, and the pole scores by exemplar key.

    ``inseparable`` has the AUC, by trait key, of all accepted exemplars of each trait with inseparable poles.
    """

    choice: Choice
    recheck: Recheck
    pole_scores: Mapping[str, float]
    inseparable: Mapping[str, float]


def decide(
    plan: Plan,
    exemplars: Sequence[Exemplar],
    judge_aucs: Mapping[str, float],
    embedder: Embedder,
    only_clear: bool,
) -> Decision:
    """Choose among all exemplars, and recheck the choice; a pure function that another process can call.

    Args:
        judge_aucs: by trait key; see ``InContextJudge.measure_aucs``.
    """
    supports_language = plan.language.encoder_supports_language
    accepted = [exemplar for exemplar in exemplars if exemplar.is_accepted]
    pole_scores: dict[str, float] = {}
    inseparable: dict[str, float] = {}
    for trait in plan.model.traits:
        items = [exemplar for exemplar in accepted if exemplar.trait == trait.key]
        trait_scores = measure_pole_scores(plan.axes.get(trait.key), items, judge_aucs.get(trait.key), embedder)
        pole_scores |= trait_scores
        # Claims are left out: the encoder reads manner and subject, but not the claim about the subject.
        is_readable = supports_language and trait.type != "claim"
        if is_readable and (auc := find_inseparable(items, trait_scores, embedder)) is not None:
            inseparable[trait.key] = auc
    embedded = accepted if supports_language else []
    vectors = embedder.embed([exemplar.text or "" for exemplar in embedded])
    by_key = dict(zip((exemplar.key for exemplar in embedded), vectors, strict=True))
    context = ChoiceContext(pole_scores, by_key, only_clear=only_clear)
    choice, recheck = choose_rechecked(plan, exemplars, context, embedder)
    return Decision(choice, recheck, pole_scores, inseparable)


def recheck_choice(plan: Plan, choice: Choice, embedder: Embedder) -> Recheck:
    """Probe the chosen exemplars of each trait, and search them for shortcuts."""
    probes, shortcuts = [], list[Shortcut]()
    encoder = embedder if plan.language.encoder_supports_language else None
    for trait in plan.model.traits:
        items = [exemplar for exemplar in choice.chosen if exemplar.trait == trait.key]
        probe = probe_trait(trait.key, items, encoder)
        probes.append(probe)
        shortcuts += find_shortcuts(trait.key, trait.type, items, probe.auc, encoder)
    return Recheck(tuple(probes), tuple(shortcuts), _find_carriers(choice.chosen, shortcuts))


def make_hints(
    plan: Plan, choice: Choice, recheck: Recheck, pole_scores: Mapping[str, float]
) -> dict[tuple[str, Pole], CellHints]:
    """Return the hints for the next round's cells, by trait key and pole: example texts, and features to avoid.

    The example texts have the largest distance towards their pole.
    """
    hints = {}
    for trait, pole in plan.model.poles:
        chosen, other = choice.at(trait, pole), OTHER_POLE[pole]
        shortcuts = [shortcut for shortcut in recheck.shortcuts if shortcut.trait == trait]
        # If there are authored texts, they are the better examples and contrasts.
        shots = [] if plan.model.examples_at(trait, pole) else rank_by_side(chosen, pole_scores)[:SHOTS]
        rivals = [] if plan.model.examples_at(trait, other) else rank_by_side(choice.at(trait, other), pole_scores)
        openings = [take_opening(exemplar.text or "", OPENING_WORDS) for exemplar in reversed(chosen)]
        banned = [item.what for item in shortcuts if item.kind in ("word", "opening") and item.pole == pole]
        hints[trait, pole] = CellHints(
            shots=tuple((exemplar.scenario.subject, exemplar.text or "") for exemplar in shots),
            contrast=(rivals[0].text or "") if rivals else "",
            openings=tuple(dict.fromkeys(openings))[:MAX_OPENINGS],
            banned=tuple(dict.fromkeys(banned)),
            words=next((item.words for item in shortcuts if item.kind == "length"), None),
        )
    return hints


def _exchange(
    plan: Plan, exemplars: Sequence[Exemplar], context: ChoiceContext, embedder: Embedder, recheck: Recheck
) -> tuple[Choice, Recheck]:
    """Choose with exchanges; fewer or none for traits with a lower probe AUC after them than in ``recheck``."""
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
    """Return the keys of exemplars that carry a shortcut: its word at its pole, or a length that only one pole has."""
    return frozenset(
        exemplar.key
        for shortcut in shortcuts
        for exemplar in exemplars
        if exemplar.trait == shortcut.trait
        and (shortcut.kind == "length" or exemplar.pole == shortcut.pole)
        and exemplar.text
        and shortcut.appears_in(exemplar.text)
    )
