"""Measures how varied the texts of one pole are, whether they read as texts, and as texts of their seeds' kind.

Most diversity measures depend on the size of a set, whatever its texts are like. Those here are the mean over all
choices of eight texts, in closed form, so without randomness. Word order and likeness to the seeds are the sentence
encoder's alone: they find word salad and texts of a wholly different kind; a fluent text that makes no sense passes
(docs/decisions/005-duplicates.md). The gate and the report use all of them.
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.choosing.rounds import Rounds
from engine.domain.model import POLES
from engine.domain.verdict import Diversity, PoleDiversity
from engine.text.embedding import Embedder, Vectors
from engine.text.words import split_words

# The number of exemplars per pole at the lowest effort, so that even its sets have the figures "of eight".
SUBSET_SIZE = 8
OPENING_WORDS = 3
# Figures are rounded, since the last digits from BLAS differ between machines.
DECIMALS = 4
# Of one pole so many texts are looked at, each with so many shuffles, which cost more than all else that is embedded.
MOST_TEXTS = 8
SHUFFLES = 3
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


def measure_diversity(rounds: Rounds, embedder: Embedder) -> tuple[PoleDiversity, ...]:
    """Measures the diversity of the chosen exemplars of each trait and pole, and of the pole's seeds if it has any."""
    plan, found = rounds.plan, []
    asked = embedder if plan.language.encoder_supports_language else None
    for trait, pole in plan.model.poles:
        texts = [item.text or "" for item in rounds.choice.at(trait, pole)]
        seeds = {side: [seed.text for seed in plan.model.seeds_at(trait, side)] for side in POLES}
        both = [text for side in POLES for text in seeds[side]]
        likeness = measure_seed_likeness(texts, seeds[pole], both, asked) if asked else None
        variety = replace(measure_texts(texts, asked, plan.language.code), seed_likeness=likeness)
        found.append(PoleDiversity(trait, pole, variety, measure_texts(seeds[pole], asked) if seeds[pole] else None))
    return tuple(found)


def list_variety_texts(rounds: Rounds) -> list[str]:
    """Lists the texts that ``measure_diversity`` embeds beside those that the rounds have embedded."""
    if rounds.plan.language.code not in ORDER_LANGUAGES:
        return []
    groups = [[item.text or "" for item in rounds.choice.at(*place)] for place in rounds.plan.model.poles]
    return [text for group in groups for text in list_orderings(group)]


def measure_texts(texts: Sequence[str], embedder: Embedder | None, language: str = "") -> Diversity:
    """Measures the diversity of texts, rounded to four decimals, and their word order.

    Args:
        language: a two-letter code; without one the word order is left out.
        embedder: None where the encoder does not know the language: ``vendi_of_eight`` is None.
    """
    openings = Counter(tuple(split_words(text)[:OPENING_WORDS]) for text in texts)
    return Diversity(
        count=len(texts),
        vendi_of_eight=None if embedder is None else _round(_vendi_score_of_eight(embedder.embed(texts))),
        shared_openings_of_eight=_round(_share_openings(openings)),
        word_order=None if embedder is None else measure_word_order(texts, language, embedder),
    )


def list_orderings(texts: Sequence[str]) -> list[str]:
    """Lists the first texts, each followed by itself with its words in ``SHUFFLES`` random orders."""
    listed: list[str] = []
    for text in texts[:MOST_TEXTS]:
        words = text.split()
        # The same text always has the same shuffles.
        orders = (random.Random(f"{number}/{text}").sample(words, len(words)) for number in range(SHUFFLES))
        listed += [text, *map(" ".join, orders)]
    return listed


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


def _share_openings(openings: Counter[tuple[str, ...]]) -> float | None:
    """Returns the expected share of texts with an opening that another has, of eight drawn without replacement.

    Given one of ``count`` texts with the same opening, the other seven are drawn from the rest (hypergeometric).
    """
    total, others = openings.total(), SUBSET_SIZE - 1
    if total < SUBSET_SIZE:
        return None
    alone = sum(count * math.comb(total - count, others) for count in openings.values())
    return 1 - alone / (total * math.comb(total - 1, others))


def _vendi_score_of_eight(vectors: Vectors) -> float | None:
    """Returns the Vendi score of order 2, 1 / Σλ², with Σλ² replaced by its mean over all choices of eight rows.

    For eight rows Σλ² is the sum of their squared cosines over 64; the eight cosines of a row with itself are 1. The
    mean over pairs does not depend on the size of the set that the pairs come from, so neither does this figure.
    """
    count = len(vectors)
    if count < SUBSET_SIZE:
        return None
    # The smaller of the two products: with 10,000 texts that of the 512 columns.
    product = vectors @ vectors.T if count < vectors.shape[1] else vectors.T @ vectors
    selves = float(np.sum(np.sum(vectors * vectors, axis=1) ** 2))
    squared = (float(np.sum(product * product)) - selves) / (count * (count - 1))
    return 1 / (1 / SUBSET_SIZE + (1 - 1 / SUBSET_SIZE) * max(0.0, squared))


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS) + 0.0


def _average_nearest(cosines: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(np.sort(cosines, axis=1)[:, -NEAREST:].mean())
