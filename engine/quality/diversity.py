"""Variety: how different the texts of one pole are, in figures that sets of unequal size may be compared by.

Most measures of variety fall as a set grows, whatever its texts are like. The figures "of eight" are what a random
eight of the texts have on average, in closed form and so without chance; n-grams are counted among 50 that are drawn
in the same way. The raw figures stand beside them (docs/decisions/010).
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.domain.model import Pole
from engine.text.embedding import Embedder, Vectors
from engine.text.words import split_words

# The lowest effort's count; then even its sets have the figures "of eight".
SUBSET_SIZE = 8
# Eight texts of the shortest length, 8 words, have 56 pairs of words.
SAMPLED_NGRAMS = 50
OPENING_WORDS = 3
# What BLAS makes of the last digits differs between machines.
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Variety:
    """The variety of one group of texts. Comparable between groups: all that is not said to hang on ``count``.

    Attributes:
        count: texts.
        distinct_1: the share in (0, 1] of different words among 50 drawn at random, in expectation (rarefaction,
            Hurlbert 1971, Ecology 52:577); None where there are fewer than 50.
        distinct_2: the same of pairs of neighbouring words (distinct-2: Li et al. 2016, arXiv 1510.03055).
        distinct_3: the same of triples.
        mean_cosine: of all pairs of texts, in [-1, 1]; None where there is no pair.
        vendi: the effective number of texts in [1, count], the exponential of the entropy of the eigenvalues of the
            cosine kernel (Friedman and Dieng 2022, arXiv 2210.02410); hangs on ``count``; 0 where there is no text.
        vendi_share: ``vendi`` over ``count``; hangs on ``count``, and falls as it grows.
        vendi_of_eight: the effective number in [1, 8] of a random eight of the texts, of order 2 (Pasarkar and Dieng
            2023, arXiv 2310.12952); None where there are fewer than eight.
        shared_openings: the share of texts whose first three words are those of another; hangs on ``count``.
        shared_openings_of_eight: the same among a random eight of the texts; None where there are fewer than eight.
    """

    count: int
    distinct_1: float | None
    distinct_2: float | None
    distinct_3: float | None
    mean_cosine: float | None
    vendi: float
    vendi_share: float | None
    vendi_of_eight: float | None
    shared_openings: float | None
    shared_openings_of_eight: float | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many different values of one part of the scenarios are used, of how many so many texts could use."""

    used: int
    possible: int


@dataclass(frozen=True, slots=True)
class PoleVariety:
    """The exemplars of one trait at one pole beside its seeds; ``coverage`` goes by the part of the scenario."""

    trait: str
    pole: Pole
    exemplars: Variety
    seeds: Variety | None
    coverage: Mapping[str, Coverage]


def measure_texts(texts: Sequence[str], embedder: Embedder) -> Variety:
    """The figures of some texts, rounded to four decimals; the time grows with the number of words."""
    words = [split_words(text) for text in texts]
    vectors = _restore_unit_length(embedder.embed(texts))
    openings = Counter(tuple(text[:OPENING_WORDS]) for text in words)
    vendi = _vendi_score(vectors)
    return Variety(
        count=len(texts),
        distinct_1=_round(_rarefy(_count_grams(words, 1))),
        distinct_2=_round(_rarefy(_count_grams(words, 2))),
        distinct_3=_round(_rarefy(_count_grams(words, 3))),
        mean_cosine=_round(_mean_cosine(vectors)),
        vendi=round(vendi, DECIMALS),
        vendi_share=_round(vendi / len(texts) if texts else None),
        vendi_of_eight=_round(_vendi_score_of_eight(vectors)),
        shared_openings=_round(_share_openings(openings, len(texts))),
        shared_openings_of_eight=_round(_share_openings(openings, SUBSET_SIZE)),
    )


def _count_grams(words: Iterable[Sequence[str]], size: int) -> Counter[tuple[str, ...]]:
    """How often each run of ``size`` words occurs; no run goes on from one text into the next."""
    return Counter(tuple(text[start : start + size]) for text in words for start in range(len(text) - size + 1))


def _rarefy(counts: Counter[tuple[str, ...]]) -> float | None:
    """The expected share of different ones among ``SAMPLED_NGRAMS``, drawn without putting back."""
    total = counts.total()
    if total < SAMPLED_NGRAMS:
        return None
    # Many n-grams occur equally often: each number of occurrences is worked out once.
    times = Counter(counts.values())
    return (
        sum(number * (1 - _chance_of_none(total, count, SAMPLED_NGRAMS)) for count, number in times.items())
        / SAMPLED_NGRAMS
    )


def _share_openings(openings: Counter[tuple[str, ...]], size: int) -> float | None:
    """The expected share of texts with a namesake among ``size`` texts drawn without putting back.

    Given one text of ``count`` with its opening, the other ``size`` - 1 come from the rest.
    """
    total = openings.total()
    if total < max(1, size):
        return None
    alone = sum(count * _chance_of_none(total - 1, count - 1, size - 1) for count in openings.values())
    return 1 - alone / total


def _chance_of_none(total: int, marked: int, drawn: int) -> float:
    """The chance that none of ``marked`` things is among ``drawn`` of ``total``: hypergeometric."""
    if total - marked < drawn:
        return 0.0
    return math.exp(_log_choose(total - marked, drawn) - _log_choose(total, drawn))


def _log_choose(total: int, drawn: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(drawn + 1) - math.lgamma(total - drawn + 1)


def _restore_unit_length(vectors: Vectors) -> Vectors:
    """The rows at length 1 again, which rounding has taken from them; 0 stays 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units


def _mean_cosine(vectors: Vectors) -> float | None:
    """Over all pairs of different rows, from the length of their sum: no matrix of pairs is made."""
    count = len(vectors)
    if count < 2:
        return None
    total = vectors.sum(axis=0)
    return float((total @ total - np.vdot(vectors, vectors)) / (count * (count - 1)))


def _vendi_score(vectors: Vectors) -> float:
    """The Vendi score. The kernel's eigenvalues other than 0 are those of the smaller of its two products."""
    values = np.linalg.eigvalsh(_make_smaller_product(vectors))
    values = values[values > 1e-12 * max(1, len(vectors))]
    if not len(values):
        return 0.0
    shares = values / values.sum()
    return math.exp(-float(shares @ np.log(shares)))


def _vendi_score_of_eight(vectors: Vectors) -> float | None:
    """The order 2 Vendi score 1 / Σλ², with the mean of Σλ² over all choices of eight rows in its place.

    Σλ² of eight rows is the sum of their squared cosines over 64, of which the eight with themselves are 1; a mean over
    pairs is the same whichever size the pairs are drawn from, so that the figure does not hang on the count.
    """
    count = len(vectors)
    if count < SUBSET_SIZE:
        return None
    product = _make_smaller_product(vectors)
    selves = float(np.sum(np.sum(vectors * vectors, axis=1) ** 2))
    squared = (float(np.sum(product * product)) - selves) / (count * (count - 1))
    return 1 / (1 / SUBSET_SIZE + (1 - 1 / SUBSET_SIZE) * max(0.0, squared))


def _make_smaller_product(vectors: Vectors) -> Vectors:
    """The products of rows or of columns, whichever are fewer: at 10,000 texts 512 columns."""
    rows, columns = vectors.shape
    return np.asarray(vectors @ vectors.T if rows < columns else vectors.T @ vectors)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS) + 0.0
