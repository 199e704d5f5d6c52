"""Measures what a model's texts show: are poles told apart, do traits say one thing, has the last set drifted."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from engine.catalogue.condition import Drift, Measures, TraitAngle, TraitMeasure
from engine.catalogue.drawn_texts import DrawnText, Origin
from engine.domain.model import POLES, Pole
from engine.quality.breaks import MIN_TEXTS, find_breaks
from engine.quality.contrasts import Contrast, Group, measure_cosine
from engine.quality.separation import measure_left_out, rank_auc, score_held_out, score_others
from engine.text.embedding import Embedder, Vectors

# Raised with every change of what is measured, or of how: then all models are measured anew.
MEASURES_VERSION = 1
DECIMALS = 3
# With fewer texts at a pole a cosine or a drift says nothing (docs/decisions/060-the-catalogues-health.md).
MIN_COMPARED = 8
# The left-out AUC of texts of one kind spreads wider than that of scores (Mann and Whitney 1947): its axis has seen the
# other texts. Measured with 8 to 100 texts of three kinds, labelled by people, it was 1.3 to 1.5 times as wide.
LEFT_OUT_SPREAD = 1.35


class _Drawn:
    """The texts of one trait, with their vectors."""

    def __init__(self, texts: Sequence[DrawnText], vectors: Mapping[str, Vectors]) -> None:
        self.texts = texts
        self.vectors = np.stack([vectors[item.text] for item in texts]) if texts else np.zeros((0, 1))

    def choose(self, pole: Pole | None = None, *origins: Origin) -> list[int]:
        """The positions of the texts of a pole and of some origins; all where none is given."""
        return [
            number
            for number, item in enumerate(self.texts)
            if pole in (None, item.pole) and (not origins or item.origin in origins)
        ]

    def count(self, pole: Pole) -> int:
        """How many texts a pole has."""
        return len(self.choose(pole))

    def group(self, pole: Pole) -> Group:
        """The texts of a pole, as one side of the trait's axis."""
        own = self.choose(pole)
        return Group(self.vectors[own], [self.texts[number].group for number in own])


def measure_texts(
    language: str, drawn: Mapping[str, Sequence[DrawnText]], last: Mapping[str, str], embedder: Embedder
) -> Measures:
    """Measures the drawn texts of a model, by trait key; ``last`` is the run of each trait's last set.

    Args:
        language: the code of the model's language, which the encoder knows.
    """
    texts = list(dict.fromkeys(item.text for own in drawn.values() for item in own))
    vectors = dict(zip(texts, embedder.embed(texts), strict=True)) if texts else {}
    traits = {trait: _Drawn(own, vectors) for trait, own in drawn.items()}
    return Measures(
        language=language,
        language_known=True,
        traits=tuple(_measure_trait(trait, own, last.get(trait)) for trait, own in traits.items()),
        angles=tuple(_measure_angles(traits)),
    )


def _measure_trait(trait: str, drawn: _Drawn, last: str | None) -> TraitMeasure:
    counts: dict[Pole, int] = {pole: drawn.count(pole) for pole in POLES}
    if min(counts.values()) < MIN_TEXTS:
        return TraitMeasure(trait, None, None, counts)
    auc, scores = _measure_apart(drawn, drawn.choose())
    positive = np.array([item.pole == "positive" for item in drawn.texts])
    breaks = find_breaks(scores[positive], scores[~positive])
    drift = _measure_drift(drawn, last) if last else None
    return TraitMeasure(trait, auc, breaks.overlap if breaks else None, counts, drift)


def _measure_apart(drawn: _Drawn, chosen: Sequence[int]) -> tuple[float | None, Vectors]:
    """The AUC of some texts, each scored on an axis that has seen neither it nor its pair, and these scores."""
    positive = [drawn.texts[number].pole == "positive" for number in chosen]
    scores = score_held_out(drawn.vectors[chosen], positive, [drawn.texts[number].group for number in chosen])
    return _round(rank_auc(scores, positive)), scores


def _measure_drift(drawn: _Drawn, last: str) -> Drift | None:
    """Compares the last set with the earlier ones; None with too few texts of either at a pole."""
    sides = {pole: [drawn.choose(pole, origin) for origin in ("last", "earlier")] for pole in POLES}
    if min(len(side) for pair in sides.values() for side in pair) < MIN_COMPARED:
        return None
    apart = {pole: measure_left_out(*(drawn.vectors[side] for side in pair)) for pole, pair in sides.items()}
    new, old = drawn.choose(None, "last"), drawn.choose(None, "earlier")
    known = [drawn.texts[number].pole == "positive" for number in old]
    scores = score_others(drawn.vectors[old], known, drawn.vectors[new])
    graded = rank_auc(scores, [drawn.texts[number].pole == "positive" for number in new])
    return Drift(
        run_id=last,
        told_apart={pole: round(auc, DECIMALS) for pole, auc in apart.items() if auc is not None},
        errors={pole: round(measure_chance(*map(len, pair)), DECIMALS) for pole, pair in sides.items()},
        graded=_round(graded),
        own=_measure_apart(drawn, old)[0],
    )


def measure_chance(one: int, other: int) -> float:
    """Measures by how much the left-out AUC between texts of one kind is off .5: its standard deviation."""
    return LEFT_OUT_SPREAD * math.sqrt((one + other + 1) / (12 * one * other))


def _measure_angles(traits: Mapping[str, _Drawn]) -> Iterator[TraitAngle]:
    """Measures the angles between the axes of traits with enough texts at both poles."""
    known = {trait: own for trait, own in traits.items() if min(map(own.count, POLES)) >= MIN_COMPARED}
    axes = {trait: Contrast(own.group("positive"), own.group("negative")) for trait, own in known.items()}
    for (one, axis), (other, beside) in combinations(axes.items(), 2):
        cosine = measure_cosine(axis, beside)
        if cosine is not None:
            value = max(-1.0, min(1.0, cosine.value))
            yield TraitAngle(one, other, round(value, DECIMALS), round(cosine.error, DECIMALS))


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
