"""Measures whether the texts of one pole read as texts at all, and as texts of the kind that the seeds are.

Both figures are those of the sentence encoder alone, so that they take about a second for a whole set and need no model
that writes (docs/decisions/005-duplicates.md). They find word salad and texts of a wholly different kind. A fluent text
that makes no sense passes.
"""

import random
from collections.abc import Sequence

import numpy as np

from engine.text.embedding import Embedder

# Figures are rounded, since the last digits from BLAS differ between machines.
DECIMALS = 4
# The texts of one pole that are looked at: with 24 the figure hardly changes between draws.
MOST_TEXTS = 24
SHUFFLES = 5
# With fewer, one odd text decides.
MIN_TEXTS = 8
MIN_SEEDS = 4
NEAREST = 3
# Texts of a single word have no other order; those that were measured lie .02 and more apart.
MIN_DISTANCE = 1e-3
# Languages in which the encoder was seen to read word order: eight plain texts each had a figure of .17 to 1.6, their
# shuffles of -.2 to .2. It hardly does in Arabic (.11), and the other four languages of the encoder do not write words
# apart.
ORDER_LANGUAGES = frozenset({"en", "de", "es", "fr", "it", "ko", "nl", "pl", "pt", "ru", "tr"})


def list_orderings(texts: Sequence[str]) -> list[str]:
    """Lists the first texts, each followed by itself with its words in ``SHUFFLES`` random orders."""
    return [ordering for text in texts[:MOST_TEXTS] for ordering in (text, *_shuffle(text))]


def measure_word_order(texts: Sequence[str], language: str, embedder: Embedder) -> float | None:
    """Measures how much the order of the words says, from about 0, nothing, to 1 and more.

    The mean distance between a text and its shuffles, over that between the shuffles, less 1. In a text that is read as
    sentences the order says something, so a shuffle is farther from the text than from another shuffle; in word salad
    the text is only one more shuffle.

    Args:
        language: a two-letter code.

    Returns:
        None with fewer than eight texts, or in a language in which the encoder does not read the order.
    """
    if len(texts) < MIN_TEXTS or language not in ORDER_LANGUAGES:
        return None
    vectors = embedder.embed(list_orderings(texts)).reshape(min(len(texts), MOST_TEXTS), 1 + SHUFFLES, -1)
    cosines = np.einsum("tid,tjd->tij", vectors, vectors)
    one, other = np.triu_indices(SHUFFLES, k=1)
    from_text = 1 - cosines[:, 0, 1:].mean()
    among_shuffles = 1 - cosines[:, one + 1, other + 1].mean()
    return round(float(from_text / among_shuffles - 1), DECIMALS) if among_shuffles > MIN_DISTANCE else None


def measure_seed_likeness(
    texts: Sequence[str], pole_seeds: Sequence[str], seeds: Sequence[str], embedder: Embedder
) -> float | None:
    """Measures how like the trait's seeds the texts of one pole are: 1 as the pole's own seeds are, 0 not at all.

    The mean cosine of a text with the three seeds that are nearest to it, over the same for the pole's seeds.

    Args:
        pole_seeds: the seeds of the texts' pole, which are among ``seeds``.
        seeds: the seeds of both poles.

    Returns:
        None with fewer than eight texts or four seeds.
    """
    if len(texts) < MIN_TEXTS or len(pole_seeds) < MIN_SEEDS:
        return None
    known = embedder.embed(seeds)
    own = np.array([seed in set(pole_seeds) for seed in seeds])
    among = known @ known.T
    np.fill_diagonal(among, -1)
    usual = _average_nearest(among[own])
    return round(_average_nearest(embedder.embed(texts) @ known.T) / usual, DECIMALS) if usual > 0 else None


def _average_nearest(cosines: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(np.sort(cosines, axis=1)[:, -NEAREST:].mean())


def _shuffle(text: str) -> list[str]:
    """Shuffles the words, ``SHUFFLES`` times; the same text always has the same shuffles."""
    words = text.split()
    orders = [random.Random(f"{number}/{text}").sample(words, len(words)) for number in range(SHUFFLES)]
    return [" ".join(order) for order in orders]
