"""Choosing: from what stands, exactly the quota of every trait and pole, in pairs of one subject where it can be."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.model import POLES, Pole
from engine.plan import Plan
from engine.samples import Exemplar, Reason
from engine.subjects import count_shared_words
from engine.variation import pick_evenly
from engine.words import count_words, list_content_words

# How much farther, in log odds, the positive of a pair has to lie on the judge's scale than its negative: odds of e
# to 1 that they are the right way round.
MIN_MARGIN = 1.0
# What a text that keeps to its subject is worth beside one that does not, in log odds.
ON_SUBJECT = 1.0
# What a pair loses when one text is e times as long as the other: length must not tell the poles apart.
SAME_LENGTH = 2.0


@dataclass(frozen=True, slots=True)
class Choice:
    """``chosen`` has at most the quota of each trait and pole; ``rejected`` all others, each with its reason.

    ``paired`` has the pair ids of which both poles were chosen.
    """

    chosen: tuple[Exemplar, ...]
    rejected: tuple[Exemplar, ...]
    paired: frozenset[str]
    lack: Mapping[tuple[str, Pole], int]

    @property
    def complete(self) -> bool:
        """Whether every quota is met."""
        return not any(self.lack.values())

    def count(self, trait: str, pole: Pole) -> int:
        """How many are chosen of one trait at one pole."""
        return sum(exemplar.trait == trait and exemplar.pole == pole for exemplar in self.chosen)


def choose_exemplars(plan: Plan, exemplars: Sequence[Exemplar]) -> Choice:
    """The choice among all exemplars so far, in cell order; a pure function of them.

    Judged traits are chosen in pairs only: of each subject the positive and the negative that the judge tells apart
    best, on their subject and of one length, so that what both poles share cancels. Traits without a judge take whole
    pairs first and then whatever stands, in cell order.
    """
    chosen: dict[str, Exemplar] = {}
    verdicts: dict[str, Reason] = {}
    paired: set[str] = set()
    lack: dict[tuple[str, Pole], int] = {}
    for trait in plan.model.traits:
        standing = [exemplar for exemplar in exemplars if exemplar.trait == trait.key and exemplar.stands]
        judged = any(exemplar.odds is not None for exemplar in standing)
        ranked = _rank_pairs(standing) if judged else _pair_in_order(standing)
        if plan.synth_type == "diversify":
            picked = _flatten(pick_evenly(ranked, plan.wanted, plan.model, trait.key))
        elif judged:
            picked = _flatten(ranked[: plan.wanted])
        else:
            picked = _choose_in_order(standing, plan.wanted)
        if judged:
            verdicts |= _explain(standing)
        chosen |= {exemplar.key: exemplar for exemplar in picked}
        paired |= _find_whole_pairs(picked)
        for pole in POLES:
            lack[trait.key, pole] = plan.wanted - sum(exemplar.pole == pole for exemplar in picked)
    rejected = tuple(
        exemplar if exemplar.reason else replace(exemplar, reason=verdicts.get(exemplar.key, "surplus"))
        for exemplar in exemplars
        if exemplar.key not in chosen
    )
    return Choice(tuple(chosen.values()), rejected, frozenset(paired), lack)


def _rank_pairs(standing: Sequence[Exemplar]) -> list[tuple[Exemplar, ...]]:
    """The best pair of each subject that the judge tells apart, the best of those first."""
    found = [_best_pair(group) for group in _group(standing).values()]
    pairs = [pair for pair in found if pair and _margin(*pair) >= MIN_MARGIN]
    pairs.sort(key=lambda pair: (-_score(*pair), pair[0].order))
    return list(pairs)


def _pair_in_order(standing: Sequence[Exemplar]) -> list[tuple[Exemplar, ...]]:
    """Whole pairs in cell order, and then each exemplar by itself."""
    pairs: list[tuple[Exemplar, ...]] = []
    for group in _group(standing).values():
        poles = [[exemplar for exemplar in group if exemplar.pole == pole] for pole in POLES]
        pairs += zip(*poles, strict=False)
    return [*pairs, *((exemplar,) for exemplar in standing)]


def _flatten(groups: Sequence[tuple[Exemplar, ...]]) -> list[Exemplar]:
    return sorted((exemplar for group in groups for exemplar in group), key=lambda exemplar: exemplar.order)


def _choose_in_order(standing: Sequence[Exemplar], wanted: int) -> list[Exemplar]:
    groups = _group(standing)
    whole = {pair for pair, group in groups.items() if {exemplar.pole for exemplar in group} == set(POLES)}
    ranked = sorted(standing, key=lambda exemplar: (exemplar.pair_id not in whole, exemplar.order))
    picked: list[Exemplar] = []
    for pole in POLES:
        picked += [exemplar for exemplar in ranked if exemplar.pole == pole][:wanted]
    return sorted(picked, key=lambda exemplar: exemplar.order)


def _explain(standing: Sequence[Exemplar]) -> dict[str, Reason]:
    """Why a judged exemplar that is not chosen was not: on the other side of its sibling, level with it, or surplus."""
    reasons: dict[str, Reason] = {}
    for group in _group(standing).values():
        for exemplar in group:
            others = [other for other in group if other.pole != exemplar.pole]
            if not others:
                continue
            margins = [
                _margin(exemplar, other) if exemplar.pole == "positive" else _margin(other, exemplar)
                for other in others
            ]
            best = max(margins)
            if best < MIN_MARGIN:
                reasons[exemplar.key] = "wrong_label" if best <= -MIN_MARGIN else "off_pole"
    return reasons


def _best_pair(group: Sequence[Exemplar]) -> tuple[Exemplar, Exemplar] | None:
    judged = [exemplar for exemplar in group if exemplar.odds is not None]
    positives = [exemplar for exemplar in judged if exemplar.pole == "positive"]
    negatives = [exemplar for exemplar in judged if exemplar.pole == "negative"]
    pairs = list(itertools.product(positives, negatives))
    return max(pairs, key=lambda pair: (_score(*pair), -pair[0].order, -pair[1].order)) if pairs else None


def _score(positive: Exemplar, negative: Exemplar) -> float:
    """How good a pair is, in log odds: the judge's margin, both on their subject, and of one length."""
    lengths = [count_words(exemplar.text or "") + 1 for exemplar in (positive, negative)]
    apart = abs(math.log(lengths[0] / lengths[1]))
    on_subject = _is_on_subject(positive) + _is_on_subject(negative)
    return _margin(positive, negative) + ON_SUBJECT * on_subject - SAME_LENGTH * apart


def _is_on_subject(exemplar: Exemplar) -> bool:
    """Whether a text says a content word of its subject: what the two of a pair share cancels only if they share it."""
    words = list_content_words([exemplar.scenario.subject])
    return count_shared_words(words, [exemplar.text or ""]) > 0


def _margin(positive: Exemplar, negative: Exemplar) -> float:
    return (positive.odds or 0.0) - (negative.odds or 0.0)


def _group(exemplars: Sequence[Exemplar]) -> dict[str, list[Exemplar]]:
    groups: dict[str, list[Exemplar]] = {}
    for exemplar in exemplars:
        groups.setdefault(exemplar.pair_id, []).append(exemplar)
    return groups


def _find_whole_pairs(picked: Sequence[Exemplar]) -> set[str]:
    return {pair for pair, group in _group(picked).items() if {exemplar.pole for exemplar in group} == set(POLES)}
