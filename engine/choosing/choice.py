"""Chooses among accepted exemplars up to the quota of every trait and pole, in pairs of one subject where possible."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.asking.plan import Plan
from engine.asking.seed_variations import pick_evenly
from engine.choosing.diverse_subset import select_diverse
from engine.choosing.exchange import Pair, exchange_pairs
from engine.domain.model import DEFINED_BY_WORDS, POLES, Pole, Trait
from engine.domain.samples import Exemplar, Reason
from engine.text.embedding import Vectors
from engine.text.words import count_words, list_content_words, split_words

# By how many standard deviations the pole score of a pair's positive has to exceed that of its negative.
MIN_MARGIN = 0.5
# How much a text that keeps to its subject adds to the score of its pair, in standard deviations.
ON_SUBJECT = 0.3
# How much a pair loses for each text that begins with its subject as it was given, as half of a small model's do.
OPENS_WITH_SUBJECT = 0.3
# How much a pair loses if one text is e times as long as the other: length must not tell the poles apart.
SAME_LENGTH = 1.2
# How much a pair loses for each of its texts that carries a shortcut.
SHORTCUT = 2.0
ARTICLES = frozenset({"a", "an", "the"})


# Pairs, each by the keys of its exemplars, and their scores.
Ranking = tuple[tuple[str, str, float], ...]


@dataclass(frozen=True, slots=True)
class ChoiceContext:
    """What the choice knows of exemplars beside their texts, by their keys.

    Args:
        pole_scores: in standard deviations; higher is more positive. None for the exemplars of a trait which nothing
            places: their pairs need no margin.
        vectors: embeddings of their texts, of length 1.
        excluded: exemplars not to be chosen: the probe has found them on the other pole's side.
        shortcut_carriers: exemplars to be chosen last: they carry a shortcut.
        only_clear: whether pairs alone are chosen whose poles lie clearly the right way round, as of a weak model.
        exchanges: by trait key, how many chosen pairs may be exchanged for others as good where a word, an opening or
            the length tells the poles apart.
        selections: by trait key, the best pairs with their scores and which of them were selected to differ, so that a
            choice that differs in something else does not select again: of thousands that takes seconds.
    """

    pole_scores: Mapping[str, float] = field(default_factory=dict)
    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    shortcut_carriers: frozenset[str] = frozenset()
    only_clear: bool = False
    exchanges: Mapping[str, int] = field(default_factory=dict)
    selections: dict[str, tuple[Ranking, list[int]]] = field(default_factory=dict, compare=False, repr=False)

    def places(self, *exemplars: Exemplar) -> bool:
        """Whether it is known where each of these exemplars lies between the poles."""
        return all(exemplar.key in self.pole_scores for exemplar in exemplars)

    def measure_margin(self, *exemplars: Exemplar) -> float:
        """Returns how far these exemplars lie on their own poles' sides, added up, in standard deviations."""
        return sum(measure_side(exemplar, self.pole_scores) for exemplar in exemplars)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen exemplars, at most the quota of each trait and pole, and all others, each with its reason.

    ``paired`` has the ids of the pairs of which both poles are chosen; ``shortfall`` says by trait key and pole how
    many exemplars are lacking.
    """

    chosen: tuple[Exemplar, ...]
    rejected: tuple[Exemplar, ...]
    paired: frozenset[str]
    shortfall: Mapping[tuple[str, Pole], int]

    @property
    def complete(self) -> bool:
        """Whether every quota is met."""
        return not any(self.shortfall.values())

    def at(self, trait: str, pole: Pole) -> list[Exemplar]:
        """Lists the chosen exemplars of one trait at one pole."""
        return [exemplar for exemplar in self.chosen if (exemplar.trait, exemplar.pole) == (trait, pole)]


def choose_exemplars(plan: Plan, exemplars: Sequence[Exemplar], context: ChoiceContext | None = None) -> Choice:
    """Chooses among all exemplars so far, in cell order; a pure function of its arguments.

    Pairs of one subject come first, so that what both poles share cancels out. Preferred are pairs that lie far apart
    the right way round, keep to their subject, are of equal length and differ from other pairs. What is then lacking is
    filled with single texts, unless only clear pairs are wanted.
    """
    context = context or ChoiceContext()
    chosen: dict[str, Exemplar] = {}
    verdicts: dict[str, Reason] = dict.fromkeys(context.excluded, "wrong_label")
    paired: set[str] = set()
    shortfall: dict[tuple[str, Pole], int] = {}
    for trait in plan.model.traits:
        accepted = [item for item in exemplars if item.trait == trait.key and item.is_accepted]
        open_to = [item for item in accepted if item.key not in context.excluded]
        quotas = {pole: plan.quotas[trait.key, pole] for pole in POLES}
        picked = _choose_trait(plan, trait, open_to, context, quotas)
        if context.only_clear:
            verdicts |= _explain(open_to, context)
        chosen |= {exemplar.key: exemplar for exemplar in picked}
        paired |= {pair for pair, own in _group(picked).items() if len({exemplar.pole for exemplar in own}) > 1}
        counts = Counter(exemplar.pole for exemplar in picked)
        shortfall |= {(trait.key, pole): quotas[pole] - counts[pole] for pole in POLES}
    rejected = tuple(
        exemplar if exemplar.reason else replace(exemplar, reason=verdicts.get(exemplar.key, "surplus"))
        for exemplar in exemplars
        if exemplar.key not in chosen
    )
    return Choice(tuple(chosen.values()), rejected, frozenset(paired), shortfall)


def keep_earlier_choice(earlier: Choice, later: Choice) -> Choice:
    """Returns the earlier choice; newer exemplars are rejected for the later choice's reason, or as surplus."""
    kept = {exemplar.key for exemplar in earlier.chosen}
    since = [*later.rejected, *(replace(exemplar, reason="surplus") for exemplar in later.chosen)]
    rejected = tuple(exemplar for exemplar in since if exemplar.key not in kept)
    return Choice(earlier.chosen, rejected, earlier.paired, earlier.shortfall)


def measure_side(exemplar: Exemplar, pole_scores: Mapping[str, float]) -> float:
    """Returns how far an exemplar lies on its own pole's side, in standard deviations; 0 where that is not known."""
    place = pole_scores.get(exemplar.key, 0.0)
    return place if exemplar.pole == "positive" else -place


def rank_by_side(exemplars: Sequence[Exemplar], pole_scores: Mapping[str, float]) -> list[Exemplar]:
    """Ranks exemplars, first those farthest on their own pole's side, of equal ones the first in cell order."""
    return sorted(exemplars, key=lambda exemplar: (-measure_side(exemplar, pole_scores), exemplar.order))


def _choose_trait(
    plan: Plan, trait: Trait, accepted: Sequence[Exemplar], context: ChoiceContext, quotas: Mapping[Pole, int]
) -> list[Exemplar]:
    # Where only pairs are chosen, the half that is not wanted goes again below.
    wanted = dict.fromkeys(POLES, max(quotas.values())) if context.only_clear else quotas
    singles = [] if context.only_clear else rank_by_side(accepted, context.pole_scores)
    candidates = _list_pairs(accepted, context)
    scores = [_score(*pair, context) for pair in candidates]
    best = _find_best(candidates, scores)
    if plan.synth_type == "diversify":
        # The even use of seeds decides, which leaves little room to select for diversity.
        ranked = [candidates[index] for index in sorted(best, key=lambda index: -scores[index])]
        alone = [(exemplar,) for exemplar in singles]
        return _meet_quotas(pick_evenly([*ranked, *alone], wanted, plan.model, trait.key), (), quotas)
    pairs, values = [candidates[index] for index in best], [scores[index] for index in best]
    diverse = _select_diverse(trait.key, pairs, values, min(wanted.values()), context)
    chosen = [best[place] for place in diverse]
    if most := context.exchanges.get(trait.key):
        chosen = exchange_pairs(chosen, candidates, scores, most, trait.type not in DEFINED_BY_WORDS)
    return _meet_quotas([candidates[index] for index in chosen], singles, quotas)


def _meet_quotas(
    groups: Sequence[tuple[Exemplar, ...]], singles: Sequence[Exemplar], quotas: Mapping[Pole, int]
) -> list[Exemplar]:
    """At most the quota of each pole: the first of the groups in cell order, then the first singles for what lacks."""
    picked = sorted((exemplar for group in groups for exemplar in group), key=lambda exemplar: exemplar.order)
    taken = {exemplar.key for exemplar in picked}
    ranked = [*picked, *(exemplar for exemplar in singles if exemplar.key not in taken)]
    places = [[exemplar for exemplar in ranked if exemplar.pole == pole][: quotas[pole]] for pole in POLES]
    return sorted((exemplar for own in places for exemplar in own), key=lambda exemplar: exemplar.order)


def _select_diverse(
    trait: str, pairs: Sequence[Pair], scores: Sequence[float], wanted: int, context: ChoiceContext
) -> list[int]:
    ranking = tuple((one.key, other.key, score) for (one, other), score in zip(pairs, scores, strict=True))
    if context.selections.get(trait, (None,))[0] != ranking:
        context.selections[trait] = ranking, select_diverse(scores, _stack(pairs, context), wanted)[:wanted]
    return context.selections[trait][1]


def _stack(pairs: Sequence[Pair], context: ChoiceContext) -> Vectors:
    """Returns a vector for each pair, its two texts' vectors joined; equally distant unit vectors if none are known."""
    if not context.vectors:
        return np.eye(len(pairs))
    rows = [np.concatenate([context.vectors[exemplar.key] for exemplar in pair]) for pair in pairs]
    return np.stack(rows) / math.sqrt(2) if rows else np.zeros((0, 1))


def _explain(accepted: Sequence[Exemplar], context: ChoiceContext) -> dict[str, Reason]:
    """Gives the reason for exemplars that no clear pair can hold, by key.

    With the best partner of its pair, such an exemplar lies clearly the wrong way round (``wrong_label``), or not
    clearly the right way round (``off_pole``).
    """
    reasons: dict[str, Reason] = {}
    for group in _group(accepted).values():
        for exemplar in group:
            others = [other for other in group if other.pole != exemplar.pole and context.places(exemplar, other)]
            if not others:
                continue
            best = max(context.measure_margin(exemplar, other) for other in others)
            if best < MIN_MARGIN:
                reasons[exemplar.key] = "wrong_label" if best <= -MIN_MARGIN else "off_pole"
    return reasons


def _list_pairs(accepted: Sequence[Exemplar], context: ChoiceContext) -> list[Pair]:
    """Lists each positive with each negative text of its subject, but for pairs too near where only clear ones count.

    They come in the order of the positive text, then of the negative one.
    """
    pairs = [
        (positive, negative)
        for group in _group(accepted).values()
        for positive, negative in itertools.product(*([item for item in group if item.pole == pole] for pole in POLES))
    ]
    if context.only_clear:
        pairs = [pair for pair in pairs if not context.places(*pair) or context.measure_margin(*pair) >= MIN_MARGIN]
    return sorted(pairs, key=lambda pair: (pair[0].order, pair[1].order))


def _find_best(candidates: Sequence[Pair], scores: Sequence[float]) -> list[int]:
    best: dict[str, int] = {}
    for index, pair in enumerate(candidates):
        if scores[index] > scores[best.setdefault(pair[0].pair_id, index)]:
            best[pair[0].pair_id] = index
    return sorted(best.values())


def _score(positive: Exemplar, negative: Exemplar, context: ChoiceContext) -> float:
    """Scores a pair in standard deviations: for its margin, its subject, equal lengths and the absence of shortcuts."""
    lengths = [count_words(exemplar.text or "") + 1 for exemplar in (positive, negative)]
    apart = abs(math.log(lengths[0] / lengths[1]))
    on_subject = _is_on_subject(positive) + _is_on_subject(negative)
    shortcuts = sum(exemplar.key in context.shortcut_carriers for exemplar in (positive, negative))
    opened = sum(map(_opens_with_subject, (positive, negative)))
    margin = context.measure_margin(positive, negative) - OPENS_WITH_SUBJECT * opened
    return margin + ON_SUBJECT * on_subject - SAME_LENGTH * apart - SHORTCUT * shortcuts


def _is_on_subject(exemplar: Exemplar) -> bool:
    """Whether a text has a content word of its subject; only then do both texts of a pair share the subject."""
    words = list_content_words([exemplar.scenario.subject]), list_content_words([exemplar.text or ""])
    subject, own = (set(map(_singular, its)) for its in words)
    return not own.isdisjoint(subject)


def _opens_with_subject(exemplar: Exemplar) -> bool:
    subject, text = split_words(exemplar.scenario.subject), split_words(exemplar.text or "")
    # Whatever article either has.
    begins = [word for word in text[: len(subject) + 1] if word not in ARTICLES]
    wanted = [word for word in subject if word not in ARTICLES]
    return bool(wanted) and begins[: len(wanted)] == wanted


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _group(exemplars: Sequence[Exemplar]) -> dict[str, list[Exemplar]]:
    groups: dict[str, list[Exemplar]] = {}
    for exemplar in exemplars:
        groups.setdefault(exemplar.pair_id, []).append(exemplar)
    return groups
