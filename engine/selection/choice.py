"""Choosing: from what stands, exactly the quota of every trait and pole, in pairs of one subject where it can be."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.domain.model import POLES, Pole
from engine.domain.samples import Exemplar, Reason
from engine.planning.plan import Plan
from engine.planning.seed_variations import pick_evenly
from engine.planning.subjects import count_shared_words
from engine.selection.diverse_subset import select_diverse
from engine.text.embedding import Vectors
from engine.text.words import count_words, list_content_words

# How much farther, in standard deviations, the positive of a pair has to lie towards its pole than its negative.
MIN_MARGIN = 0.5
# What a text that keeps to its subject is worth beside one that does not.
ON_SUBJECT = 0.3
# What a pair loses when one text is e times as long as the other: length must not tell the poles apart.
SAME_LENGTH = 1.2
# What a text loses that carries a shortcut by which its pole could be told.
SHORTCUT = 2.0


@dataclass(frozen=True, slots=True)
class ChoiceContext:
    """What is known of exemplars beside their texts, by their keys.

    Args:
        places: where they lie between the poles, in standard deviations, the positive higher.
        vectors: of their texts, of length 1.
        barred: not to be chosen; the probe has found them on the other pole's side.
        marked: to be chosen last; they carry a shortcut.
        strict: whether they are chosen in pairs alone that lie clearly the right way round. A weak model's are.
    """

    pole_scores: Mapping[str, float] = field(default_factory=dict)
    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    shortcut_carriers: frozenset[str] = frozenset()
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """``chosen`` has at most the quota of each trait and pole; ``rejected`` all others, each with its reason.

    ``paired`` has the pair ids of which both poles were chosen.
    """

    chosen: tuple[Exemplar, ...]
    rejected: tuple[Exemplar, ...]
    paired: frozenset[str]
    shortfall: Mapping[tuple[str, Pole], int]

    @property
    def complete(self) -> bool:
        """Whether every quota is met."""
        return not any(self.shortfall.values())

    def count(self, trait: str, pole: Pole) -> int:
        """How many are chosen of one trait at one pole."""
        return sum(exemplar.trait == trait and exemplar.pole == pole for exemplar in self.chosen)

    def count_reasons(self) -> dict[Reason, int]:
        """How many exemplars were rejected for each reason, the most frequent reason first."""
        counts = Counter(exemplar.reason for exemplar in self.rejected if exemplar.reason)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def choose_exemplars(plan: Plan, exemplars: Sequence[Exemplar], context: ChoiceContext | None = None) -> Choice:
    """The choice among all exemplars so far, in cell order; a pure function of them and of what is known of them.

    Pairs of one subject come first, so that what both poles share cancels: those that lie farthest apart the right way
    round, on their subject, of one length, and far from other pairs. Where the view is not strict, what is lacking then
    is filled by single texts.
    """
    context = context or ChoiceContext()
    chosen: dict[str, Exemplar] = {}
    verdicts: dict[str, Reason] = dict.fromkeys(context.excluded, "wrong_label")
    paired: set[str] = set()
    shortfall: dict[tuple[str, Pole], int] = {}
    for trait in plan.model.traits:
        accepted = [item for item in exemplars if item.trait == trait.key and item.is_accepted]
        open_to = [item for item in accepted if item.key not in context.excluded]
        picked = _choose_trait(plan, trait.key, open_to, context)
        if context.strict:
            verdicts |= _explain(open_to, context)
        chosen |= {exemplar.key: exemplar for exemplar in picked}
        paired |= _find_whole_pairs(picked)
        for pole in POLES:
            shortfall[trait.key, pole] = plan.wanted - sum(exemplar.pole == pole for exemplar in picked)
    rejected = tuple(
        exemplar if exemplar.reason else replace(exemplar, reason=verdicts.get(exemplar.key, "surplus"))
        for exemplar in exemplars
        if exemplar.key not in chosen
    )
    return Choice(tuple(chosen.values()), rejected, frozenset(paired), shortfall)


def keep_earlier_choice(earlier: Choice, later: Choice) -> Choice:
    """The earlier choice; what has come since has the reason that the later one gives, or is surplus."""
    kept = {exemplar.key for exemplar in earlier.chosen}
    since = [*later.rejected, *(replace(exemplar, reason="surplus") for exemplar in later.chosen)]
    rejected = tuple(exemplar for exemplar in since if exemplar.key not in kept)
    return Choice(earlier.chosen, rejected, earlier.paired, earlier.shortfall)


def _choose_trait(plan: Plan, trait: str, accepted: Sequence[Exemplar], context: ChoiceContext) -> list[Exemplar]:
    pairs = [pair for group in _group(accepted).values() if (pair := _best_pair(group, context))]
    pairs.sort(key=lambda pair: pair[0].order)
    scores = [_score(*pair, context) for pair in pairs]
    if plan.synth_type == "diversify":
        # Whose turn it is decides, so that there is little to spread among.
        ranked = [pairs[index] for index in sorted(range(len(pairs)), key=lambda index: (-scores[index], index))]
        alone = [] if context.strict else [(exemplar,) for exemplar in _rank_singles(accepted, context)]
        return _flatten(pick_evenly([*ranked, *alone], plan.wanted, plan.model, trait))
    picked = [pairs[index] for index in select_diverse(scores, _stack(pairs, context), plan.wanted)[: plan.wanted]]
    single = [] if context.strict else _fill_up(accepted, _flatten(picked), plan.wanted, context)
    return sorted([*_flatten(picked), *single], key=lambda exemplar: exemplar.order)


def _flatten(groups: Sequence[tuple[Exemplar, ...]]) -> list[Exemplar]:
    return sorted((exemplar for group in groups for exemplar in group), key=lambda exemplar: exemplar.order)


def _fill_up(
    accepted: Sequence[Exemplar], picked: Sequence[Exemplar], wanted: int, context: ChoiceContext
) -> list[Exemplar]:
    """Single texts for what the pairs left lacking, those first that lie farthest on their pole's side."""
    taken = {exemplar.key for exemplar in picked}
    left = [exemplar for exemplar in _rank_singles(accepted, context) if exemplar.key not in taken]
    filled: list[Exemplar] = []
    for pole in POLES:
        lacking = wanted - sum(exemplar.pole == pole for exemplar in picked)
        filled += [exemplar for exemplar in left if exemplar.pole == pole][:lacking]
    return filled


def _rank_singles(accepted: Sequence[Exemplar], context: ChoiceContext) -> list[Exemplar]:
    return sorted(accepted, key=lambda exemplar: (-_side(exemplar, context), exemplar.order))


def _stack(pairs: Sequence[tuple[Exemplar, Exemplar]], context: ChoiceContext) -> Vectors:
    """A vector for each pair: its two texts' beside each other; all alike where none are known."""
    if not context.vectors:
        return np.eye(len(pairs))
    rows = [np.concatenate([context.vectors[exemplar.key] for exemplar in pair]) for pair in pairs]
    return np.stack(rows) / math.sqrt(2) if rows else np.zeros((0, 1))


def _explain(accepted: Sequence[Exemplar], context: ChoiceContext) -> dict[str, Reason]:
    """Why an exemplar that is not chosen was not: on the other side of its sibling, level with it, or surplus."""
    reasons: dict[str, Reason] = {}
    for group in _group(accepted).values():
        for exemplar in group:
            others = [other for other in group if other.pole != exemplar.pole]
            if not others:
                continue
            best = max(_side(exemplar, context) + _side(other, context) for other in others)
            if best < MIN_MARGIN:
                reasons[exemplar.key] = "wrong_label" if best <= -MIN_MARGIN else "off_pole"
    return reasons


def _best_pair(group: Sequence[Exemplar], context: ChoiceContext) -> tuple[Exemplar, Exemplar] | None:
    positives = [exemplar for exemplar in group if exemplar.pole == "positive"]
    negatives = [exemplar for exemplar in group if exemplar.pole == "negative"]
    pairs = list(itertools.product(positives, negatives))
    if context.strict:
        pairs = [pair for pair in pairs if _margin(*pair, context) >= MIN_MARGIN]
    return (
        max(pairs, key=lambda pair: (_score(pair[0], pair[1], context), -pair[0].order, -pair[1].order))
        if pairs
        else None
    )


def _score(positive: Exemplar, negative: Exemplar, context: ChoiceContext) -> float:
    """How good a pair is, in standard deviations: apart the right way round, on their subject, and of one length."""
    lengths = [count_words(exemplar.text or "") + 1 for exemplar in (positive, negative)]
    apart = abs(math.log(lengths[0] / lengths[1]))
    on_subject = _is_on_subject(positive) + _is_on_subject(negative)
    shortcuts = sum(exemplar.key in context.shortcut_carriers for exemplar in (positive, negative))
    margin = _margin(positive, negative, context)
    return margin + ON_SUBJECT * on_subject - SAME_LENGTH * apart - SHORTCUT * shortcuts


def _is_on_subject(exemplar: Exemplar) -> bool:
    """Whether a text says a content word of its subject: what the two of a pair share cancels only if they share it."""
    words = list_content_words([exemplar.scenario.subject])
    return count_shared_words(words, [exemplar.text or ""]) > 0


def _margin(positive: Exemplar, negative: Exemplar, context: ChoiceContext) -> float:
    return context.pole_scores.get(positive.key, 0.0) - context.pole_scores.get(negative.key, 0.0)


def _side(exemplar: Exemplar, context: ChoiceContext) -> float:
    """How far an exemplar lies on its own pole's side."""
    place = context.pole_scores.get(exemplar.key, 0.0)
    return place if exemplar.pole == "positive" else -place


def _group(exemplars: Sequence[Exemplar]) -> dict[str, list[Exemplar]]:
    groups: dict[str, list[Exemplar]] = {}
    for exemplar in exemplars:
        groups.setdefault(exemplar.pair_id, []).append(exemplar)
    return groups


def _find_whole_pairs(picked: Sequence[Exemplar]) -> set[str]:
    return {pair for pair, group in _group(picked).items() if {exemplar.pole for exemplar in group} == set(POLES)}
