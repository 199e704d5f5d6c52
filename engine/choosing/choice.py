"""Choose accepted exemplars up to the quota of every trait and pole, in pairs of one subject where possible."""

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
from engine.domain.definition import Pole, Trait
from engine.domain.model import DEFINED_BY_WORDS, POLES
from engine.domain.samples import Exemplar, Reason
from engine.text.embedding import Vectors
from engine.text.words import count_words, list_content_words, split_words

# The least margin of a pair: pole score of its positive text minus pole score of its negative, in standard deviations.
MIN_MARGIN = 0.5
# Added to the score of a pair for each text that keeps to its subject, in standard deviations.
ON_SUBJECT = 0.3
# Subtracted from a pair for each text that begins with its subject verbatim, as half of a small model's texts do.
OPENS_WITH_SUBJECT = 0.3
# Subtracted from a pair if its texts' lengths differ by a factor e: length must not separate the poles.
SAME_LENGTH = 1.2
# Subtracted from a pair for each text that carries a shortcut.
SHORTCUT = 2.0
ARTICLES = frozenset({"a", "an", "the"})
# The keys of both exemplars of each pair, and its score.
Ranking = tuple[tuple[str, str, float], ...]


@dataclass(frozen=True, slots=True)
class ChoiceContext:
    """Properties of exemplars that the choice uses in addition to their texts, by exemplar key.

    Args:
        pole_scores: in standard deviations; higher is more positive. Exemplars of a trait without a reliable measure
            have none: their pairs need no margin.
        vectors: embeddings of their texts, of length 1.
        excluded: exemplars that are never chosen, because the probe scored them on the wrong side.
        shortcut_carriers: exemplars that are chosen last, because they carry a shortcut.
        only_clear: choose only pairs with poles clearly in the right order, as for a weak model.
        exchanges: by trait key, how many chosen pairs may be exchanged for equally good ones if a word, an opening or
            the length separates the poles.
        selections: by trait key, the best pairs with their scores, and the indices of the diverse selection. A choice
            with the same pairs reuses the selection, because selecting among thousands takes seconds.
    """

    pole_scores: Mapping[str, float] = field(default_factory=dict)
    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    shortcut_carriers: frozenset[str] = frozenset()
    only_clear: bool = False
    exchanges: Mapping[str, int] = field(default_factory=dict)
    selections: dict[str, tuple[Ranking, list[int]]] = field(default_factory=dict, compare=False, repr=False)

    def has_scores(self, *exemplars: Exemplar) -> bool:
        """Return whether all these exemplars have a pole score."""
        return all(exemplar.key in self.pole_scores for exemplar in exemplars)

    def measure_margin(self, *exemplars: Exemplar) -> float:
        """Return the sum of these exemplars' distances towards their poles, in standard deviations."""
        return sum(measure_side(exemplar, self.pole_scores) for exemplar in exemplars)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen exemplars, at most the quota of each trait and pole, and the rejected ones, each with its reason.

    ``paired`` has the ids of the pairs that are chosen at both poles; ``shortfall`` has by trait key and pole the
    number of missing exemplars.
    """

    chosen: tuple[Exemplar, ...]
    rejected: tuple[Exemplar, ...]
    paired: frozenset[str]
    shortfall: Mapping[tuple[str, Pole], int]

    @property
    def complete(self) -> bool:
        """Return whether every quota is met."""
        return not any(self.shortfall.values())

    def at(self, trait: str, pole: Pole) -> list[Exemplar]:
        """Return the chosen exemplars of one trait at one pole."""
        return [exemplar for exemplar in self.chosen if (exemplar.trait, exemplar.pole) == (trait, pole)]


def choose_exemplars(plan: Plan, exemplars: Sequence[Exemplar], context: ChoiceContext | None = None) -> Choice:
    """Choose among all exemplars so far, in cell order; a pure function of its arguments.

    Pairs of one subject come first, so that features that both poles share cancel out. Preferred pairs have a large
    margin in the right order, keep to their subject, have equal lengths and differ from other pairs. Single texts fill
    the remaining shortfall, unless ``only_clear`` is set.
    """
    context = context or ChoiceContext()
    chosen: dict[str, Exemplar] = {}
    verdicts: dict[str, Reason] = dict.fromkeys(context.excluded, "wrong_label")
    paired: set[str] = set()
    shortfall: dict[tuple[str, Pole], int] = {}
    for trait in plan.model.traits:
        accepted = [item for item in exemplars if item.trait == trait.key and item.is_accepted]
        candidates = [item for item in accepted if item.key not in context.excluded]
        quotas = {pole: plan.quotas[trait.key, pole] for pole in POLES}
        picked = _choose_trait(plan, trait, candidates, context, quotas)
        if context.only_clear:
            verdicts |= _explain(candidates, context)
        chosen |= {exemplar.key: exemplar for exemplar in picked}
        paired |= {pair for pair, items in _group(picked).items() if len({exemplar.pole for exemplar in items}) > 1}
        counts = Counter(exemplar.pole for exemplar in picked)
        shortfall |= {(trait.key, pole): quotas[pole] - counts[pole] for pole in POLES}
    rejected = tuple(
        exemplar if exemplar.reason else replace(exemplar, reason=verdicts.get(exemplar.key, "surplus"))
        for exemplar in exemplars
        if exemplar.key not in chosen
    )
    return Choice(tuple(chosen.values()), rejected, frozenset(paired), shortfall)


def keep_earlier_choice(earlier: Choice, later: Choice) -> Choice:
    """Return the earlier choice; newer exemplars are rejected with the later choice's reason, or as surplus."""
    kept = {exemplar.key for exemplar in earlier.chosen}
    others = [*later.rejected, *(replace(exemplar, reason="surplus") for exemplar in later.chosen)]
    rejected = tuple(exemplar for exemplar in others if exemplar.key not in kept)
    return Choice(earlier.chosen, rejected, earlier.paired, earlier.shortfall)


def measure_side(exemplar: Exemplar, pole_scores: Mapping[str, float]) -> float:
    """Return an exemplar's distance towards its pole, in standard deviations; 0 without a pole score."""
    score = pole_scores.get(exemplar.key, 0.0)
    return score if exemplar.pole == "positive" else -score


def rank_by_side(exemplars: Sequence[Exemplar], pole_scores: Mapping[str, float]) -> list[Exemplar]:
    """Sort exemplars by their distance towards their pole, the farthest first; equal ones are in cell order."""
    return sorted(exemplars, key=lambda exemplar: (-measure_side(exemplar, pole_scores), exemplar.order))


def _choose_trait(
    plan: Plan, trait: Trait, accepted: Sequence[Exemplar], context: ChoiceContext, quotas: Mapping[Pole, int]
) -> list[Exemplar]:
    # If only pairs are chosen, ``_meet_quotas`` drops the surplus half.
    limits = dict.fromkeys(POLES, max(quotas.values())) if context.only_clear else quotas
    singles = [] if context.only_clear else rank_by_side(accepted, context.pole_scores)
    candidates = _list_pairs(accepted, context)
    scores = [_score(*pair, context) for pair in candidates]
    best = _find_best(candidates, scores)
    if plan.synth_type == "diversify":
        # Seeds have to be used evenly, so there is little room to select for diversity.
        ranked = [candidates[index] for index in sorted(best, key=lambda index: -scores[index])]
        alone = [(exemplar,) for exemplar in singles]
        return _meet_quotas(pick_evenly([*ranked, *alone], limits, plan.model, trait.key), (), quotas)
    pairs, values = [candidates[index] for index in best], [scores[index] for index in best]
    diverse = _select_diverse(trait.key, pairs, values, min(limits.values()), context)
    chosen = [best[index] for index in diverse]
    if most := context.exchanges.get(trait.key):
        chosen = exchange_pairs(chosen, candidates, scores, most, trait.type not in DEFINED_BY_WORDS)
    return _meet_quotas([candidates[index] for index in chosen], singles, quotas)


def _meet_quotas(
    groups: Sequence[tuple[Exemplar, ...]], singles: Sequence[Exemplar], quotas: Mapping[Pole, int]
) -> list[Exemplar]:
    """Return at most the quota of each pole: first the groups in cell order, then the first singles."""
    picked = sorted((exemplar for group in groups for exemplar in group), key=lambda exemplar: exemplar.order)
    taken = {exemplar.key for exemplar in picked}
    ranked = [*picked, *(exemplar for exemplar in singles if exemplar.key not in taken)]
    poles = [[exemplar for exemplar in ranked if exemplar.pole == pole][: quotas[pole]] for pole in POLES]
    return sorted((exemplar for items in poles for exemplar in items), key=lambda exemplar: exemplar.order)


def _select_diverse(
    trait: str, pairs: Sequence[Pair], scores: Sequence[float], count: int, context: ChoiceContext
) -> list[int]:
    ranking = tuple((one.key, other.key, score) for (one, other), score in zip(pairs, scores, strict=True))
    if context.selections.get(trait, (None,))[0] != ranking:
        context.selections[trait] = ranking, select_diverse(scores, _stack(pairs, context), count)[:count]
    return context.selections[trait][1]


def _stack(pairs: Sequence[Pair], context: ChoiceContext) -> Vectors:
    """Return a vector for each pair, its two texts' vectors joined; equally distant unit vectors if there are none."""
    if not context.vectors:
        return np.eye(len(pairs))
    rows = [np.concatenate([context.vectors[exemplar.key] for exemplar in pair]) for pair in pairs]
    return np.stack(rows) / math.sqrt(2) if rows else np.zeros((0, 1))


def _explain(accepted: Sequence[Exemplar], context: ChoiceContext) -> dict[str, Reason]:
    """Return by key the reason of exemplars that cannot be part of a clear pair.

    With the best partner of its pair, such an exemplar is clearly in the wrong order (``wrong_label``), or not clearly
    in the right order (``off_pole``).
    """
    reasons: dict[str, Reason] = {}
    for group in _group(accepted).values():
        for exemplar in group:
            others = [other for other in group if other.pole != exemplar.pole and context.has_scores(exemplar, other)]
            if not others:
                continue
            best = max(context.measure_margin(exemplar, other) for other in others)
            if best < MIN_MARGIN:
                reasons[exemplar.key] = "wrong_label" if best <= -MIN_MARGIN else "off_pole"
    return reasons


def _list_pairs(accepted: Sequence[Exemplar], context: ChoiceContext) -> list[Pair]:
    """Return the pairs of a positive and a negative text of one subject; with ``only_clear``, only clear pairs.

    They are sorted by the positive text, then by the negative one.
    """
    pairs = [
        (positive, negative)
        for group in _group(accepted).values()
        for positive, negative in itertools.product(*([item for item in group if item.pole == pole] for pole in POLES))
    ]
    if context.only_clear:
        pairs = [pair for pair in pairs if not context.has_scores(*pair) or context.measure_margin(*pair) >= MIN_MARGIN]
    return sorted(pairs, key=lambda pair: (pair[0].order, pair[1].order))


def _find_best(candidates: Sequence[Pair], scores: Sequence[float]) -> list[int]:
    best: dict[str, int] = {}
    for index, pair in enumerate(candidates):
        if scores[index] > scores[best.setdefault(pair[0].pair_id, index)]:
            best[pair[0].pair_id] = index
    return sorted(best.values())


def _score(positive: Exemplar, negative: Exemplar, context: ChoiceContext) -> float:
    """Score a pair in standard deviations, by its margin, its subject, equal lengths and the absence of shortcuts."""
    lengths = [count_words(exemplar.text or "") + 1 for exemplar in (positive, negative)]
    apart = abs(math.log(lengths[0] / lengths[1]))
    on_subject = _is_on_subject(positive) + _is_on_subject(negative)
    shortcuts = sum(exemplar.key in context.shortcut_carriers for exemplar in (positive, negative))
    opened = sum(map(_opens_with_subject, (positive, negative)))
    margin = context.measure_margin(positive, negative) - OPENS_WITH_SUBJECT * opened
    return margin + ON_SUBJECT * on_subject - SAME_LENGTH * apart - SHORTCUT * shortcuts


def _is_on_subject(exemplar: Exemplar) -> bool:
    """Return whether a text has a content word of its subject; only then do both texts of a pair share the subject."""
    texts = exemplar.scenario.subject, exemplar.text or ""
    subject_words, text_words = (set(map(_singular, list_content_words([text]))) for text in texts)
    return not text_words.isdisjoint(subject_words)


def _opens_with_subject(exemplar: Exemplar) -> bool:
    subject, text = split_words(exemplar.scenario.subject), split_words(exemplar.text or "")
    # Articles do not count.
    begins = [word for word in text[: len(subject) + 1] if word not in ARTICLES]
    expected = [word for word in subject if word not in ARTICLES]
    return bool(expected) and begins[: len(expected)] == expected


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _group(exemplars: Sequence[Exemplar]) -> dict[str, list[Exemplar]]:
    groups: dict[str, list[Exemplar]] = {}
    for exemplar in exemplars:
        groups.setdefault(exemplar.pair_id, []).append(exemplar)
    return groups
