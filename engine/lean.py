"""Where a text lies between the poles, 0 negative to 1 positive, for the report's picture: never a verdict."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from engine.samples import Exemplar
from engine.words import split_words


def place_exemplars(exemplars: Sequence[Exemplar]) -> dict[str, float]:
    """The place of each exemplar with a text, by its key, trait by trait.

    Where the judge gave odds, the place is their logistic function, centred so that half of the texts lie on either
    side. Elsewhere it is a naive Bayes classifier's (words, add-one smoothing) that has not seen the text itself.
    """
    places: dict[str, float] = {}
    for trait in dict.fromkeys(exemplar.trait for exemplar in exemplars):
        group = [exemplar for exemplar in exemplars if exemplar.trait == trait and exemplar.text]
        judged = {exemplar.key: exemplar.odds for exemplar in group if exemplar.odds is not None}
        places |= _centre(judged) if judged else _leave_one_out(group)
    return places


def _centre(odds: Mapping[str, float]) -> dict[str, float]:
    ranked = sorted(odds.values())
    middle = ranked[len(ranked) // 2]
    return {key: _squash(value - middle) for key, value in odds.items()}


def _leave_one_out(group: Sequence[Exemplar]) -> dict[str, float]:
    words = {exemplar.key: Counter(split_words(exemplar.text or "")) for exemplar in group}
    totals: dict[str, Counter[str]] = {"positive": Counter(), "negative": Counter()}
    for exemplar in group:
        if exemplar.stands:
            totals[exemplar.pole] += words[exemplar.key]
    return {exemplar.key: _squash(_score(exemplar, words[exemplar.key], totals)) for exemplar in group}


def _score(exemplar: Exemplar, own: Counter[str], totals: Mapping[str, Counter[str]]) -> float:
    """Log odds a word, scaled by the root of the number of words, so that long texts do not all lie at the ends."""
    vocabulary = len(totals["positive"] | totals["negative"]) + 1
    logs = {}
    for pole, counts in totals.items():
        left_out = own if exemplar.stands and pole == exemplar.pole else Counter[str]()
        size = counts.total() - left_out.total() + vocabulary
        logs[pole] = sum(times * math.log((counts[word] - left_out[word] + 1) / size) for word, times in own.items())
    return (logs["positive"] - logs["negative"]) / math.sqrt(max(1, own.total()))


def _squash(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))
