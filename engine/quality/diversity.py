"""Measures the diversity ("variety") of the texts of one pole, with figures that are comparable between set sizes.

Most diversity measures depend on the size of a set, whatever its texts are like. These are therefore the mean over all
choices of eight texts, in closed form, so without randomness; n-grams are counted among 50 drawn in the same way
(docs/decisions/010). The gate and the report use both.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.domain.model import Pole
from engine.text.embedding import Embedder, Vectors
from engine.text.words import split_words

# The number of exemplars per pole at the lowest effort, so that even its sets have the figures "of eight".
SUBSET_SIZE = 8
# Eight texts of the shortest length, 8 words, have 56 pairs of words.
SAMPLED_NGRAMS = 50
OPENING_WORDS = 3
# Figures are rounded, since the last digits from BLAS differ between machines.
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Variety:
    """The diversity of one group of texts, comparable between groups of any size.

    Attributes:
        count: the number of texts.
        distinct_2: the expected share in (0, 1] of different pairs of neighbouring words among 50 drawn at random
            (distinct-2: Li et al. 2016, arXiv 1510.03055; rarefaction: Hurlbert 1971, Ecology 52:577); None with fewer.
        vendi_of_eight: the Vendi score of order 2, in [1, 8], of eight random texts (Pasarkar and Dieng 2023, arXiv
            2310.12952); None with fewer than eight texts.
        shared_openings_of_eight: the share of eight random texts whose first three words are those of another of them;
            None with fewer than eight texts.
        word_order: see ``engine.quality.coherence``, as ``seed_likeness``; None where it was not measured.
    """

    count: int
    distinct_2: float | None
    vendi_of_eight: float | None
    shared_openings_of_eight: float | None
    word_order: float | None = None
    seed_likeness: float | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many different values of one scenario field are used, and how many a set of this size can use at most."""

    used: int
    possible: int


@dataclass(frozen=True, slots=True)
class PoleVariety:
    """The diversity of one trait's exemplars at one pole, and of its seeds; ``coverage`` is by scenario field."""

    trait: str
    pole: Pole
    exemplars: Variety
    seeds: Variety | None
    coverage: Mapping[str, Coverage]


def measure_texts(texts: Sequence[str], embedder: Embedder | None) -> Variety:
    """Measures the diversity of texts, rounded to four decimals; the time grows with the number of words.

    Args:
        embedder: None where the encoder does not know the language: ``vendi_of_eight`` is None.
    """
    words = [split_words(text) for text in texts]
    vectors = None if embedder is None else _restore_unit_length(embedder.embed(texts))
    openings = Counter(tuple(text[:OPENING_WORDS]) for text in words)
    return Variety(
        count=len(texts),
        distinct_2=_round(_rarefy(_count_pairs(words))),
        vendi_of_eight=_round(None if vectors is None else _vendi_score_of_eight(vectors)),
        shared_openings_of_eight=_round(_share_openings(openings, SUBSET_SIZE)),
    )


def _count_pairs(words: Iterable[Sequence[str]]) -> Counter[tuple[str, ...]]:
    """Counts the pairs of neighbouring words; none spans two texts."""
    return Counter(pair for text in words for pair in itertools.pairwise(text))


def _rarefy(counts: Counter[tuple[str, ...]]) -> float | None:
    """Returns the expected share of different n-grams among ``SAMPLED_NGRAMS`` drawn without replacement."""
    total = counts.total()
    if total < SAMPLED_NGRAMS:
        return None
    # Many n-grams occur equally often, so the probability is computed once for each number of occurrences.
    times = Counter(counts.values())
    return (
        sum(number * (1 - _chance_of_none(total, count, SAMPLED_NGRAMS)) for count, number in times.items())
        / SAMPLED_NGRAMS
    )


def _share_openings(openings: Counter[tuple[str, ...]], size: int) -> float | None:
    """Returns the expected share of texts with an opening that another has, of ``size`` drawn without replacement.

    Given one of ``count`` texts with the same opening, the other ``size`` - 1 are drawn from the rest.
    """
    total = openings.total()
    if total < size:
        return None
    alone = sum(count * _chance_of_none(total - 1, count - 1, size - 1) for count in openings.values())
    return 1 - alone / total


def _chance_of_none(total: int, marked: int, drawn: int) -> float:
    """Returns the probability that none of ``marked`` items is among ``drawn`` of ``total`` (hypergeometric)."""
    if total - marked < drawn:
        return 0.0
    return math.exp(_log_choose(total - marked, drawn) - _log_choose(total, drawn))


def _log_choose(total: int, drawn: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(drawn + 1) - math.lgamma(total - drawn + 1)


def _restore_unit_length(vectors: Vectors) -> Vectors:
    """Scales rows to length 1 again, which rounding has changed a little; rows of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units


def _vendi_score_of_eight(vectors: Vectors) -> float | None:
    """Returns the Vendi score of order 2, 1 / Σλ², with Σλ² replaced by its mean over all choices of eight rows.

    For eight rows Σλ² is the sum of their squared cosines over 64; the eight cosines of a row with itself are 1. The
    mean over pairs does not depend on the size of the set that the pairs come from, so neither does this figure.
    """
    count = len(vectors)
    if count < SUBSET_SIZE:
        return None
    product = _make_smaller_product(vectors)
    selves = float(np.sum(np.sum(vectors * vectors, axis=1) ** 2))
    squared = (float(np.sum(product * product)) - selves) / (count * (count - 1))
    return 1 / (1 / SUBSET_SIZE + (1 - 1 / SUBSET_SIZE) * max(0.0, squared))


def _make_smaller_product(vectors: Vectors) -> Vectors:
    """Multiplies the rows or the columns with each other, whichever are fewer: with 10,000 texts the 512 columns."""
    rows, columns = vectors.shape
    return np.asarray(vectors @ vectors.T if rows < columns else vectors.T @ vectors)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS) + 0.0
