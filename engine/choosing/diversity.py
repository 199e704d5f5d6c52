"""Measure the diversity of one pole's texts, whether they read as sentences, and their likeness to the seeds.

Most diversity measures depend on the size of a set, for any texts. The measures here are the mean over all choices of
eight texts, in closed form, so without randomness. Word order and likeness to the seeds use only the sentence encoder:
they detect word salad and texts of a completely different kind; a fluent text without meaning passes
(docs/decisions/005-duplicates.md). The gate and the report use all measures.
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.choosing.run_state import RunState
from engine.domain.model import POLES
from engine.domain.verdict import Diversity, PoleDiversity
from engine.text.embedding import Embedder, Vectors
from engine.text.words import split_words

# The number of exemplars per pole at the lowest effort, so that even its sets have figures "of eight".
SUBSET_SIZE = 8
OPENING_WORDS = 3
# Figures are rounded, since the last digits from BLAS differ between machines.
DECIMALS = 4
# Texts checked per pole, and shuffles of each. Embedding the shuffles costs more than all other embeddings.
MOST_TEXTS = 8
SHUFFLES = 3
# With fewer texts, one unusual text decides.
MIN_TEXTS = 8
MIN_SEEDS = 4
NEAREST = 3
# Texts of a single word have no other order, so their distances are 0; measured texts are .02 and more apart.
MIN_DISTANCE = 1e-3
# Languages with a word order that the encoder reads: eight plain texts each measured .17 to 1.6, their shuffles -.2 to
# .2. In Arabic it hardly does (.11), and the remaining four languages of the encoder do not put spaces between words.
ORDER_LANGUAGES = frozenset({"en", "de", "es", "fr", "it", "ko", "nl", "pl", "pt", "ru", "tr"})


def measure_diversity(state: RunState, embedder: Embedder) -> tuple[PoleDiversity, ...]:
    """Measure the diversity of the chosen exemplars of each trait and pole, and of the pole's seeds if it has any."""
    plan, results = state.plan, []
    encoder = embedder if plan.language.encoder_supports_language else None
    for trait, pole in plan.model.poles:
        texts = [item.text or "" for item in state.choice.at(trait, pole)]
        seeds = {side: [seed.text for seed in plan.model.seeds_at(trait, side)] for side in POLES}
        both = [text for side in POLES for text in seeds[side]]
        likeness = measure_seed_likeness(texts, seeds[pole], both, encoder) if encoder else None
        diversity = replace(measure_texts(texts, encoder, plan.language.code), seed_likeness=likeness)
        seed_diversity = measure_texts(seeds[pole], encoder) if seeds[pole] else None
        results.append(PoleDiversity(trait, pole, diversity, seed_diversity))
    return tuple(results)


def list_diversity_texts(state: RunState) -> list[str]:
    """Return the texts that ``measure_diversity`` embeds and the rounds have not embedded."""
    if state.plan.language.code not in ORDER_LANGUAGES:
        return []
    groups = [[item.text or "" for item in state.choice.at(*pole)] for pole in state.plan.model.poles]
    return [text for group in groups for text in list_orderings(group)]


def measure_texts(texts: Sequence[str], embedder: Embedder | None, language: str = "") -> Diversity:
    """Measure the diversity of texts, rounded to four decimals, and their word order.

    Args:
        language: a two-letter code; without one, the word order is not measured.
        embedder: None if the encoder does not support the language: ``vendi_of_eight`` is then None.
    """
    openings = Counter(tuple(split_words(text)[:OPENING_WORDS]) for text in texts)
    return Diversity(
        count=len(texts),
        vendi_of_eight=None if embedder is None else _round(_vendi_score_of_eight(embedder.embed(texts))),
        shared_openings_of_eight=_round(_share_openings(openings)),
        word_order=None if embedder is None else measure_word_order(texts, language, embedder),
    )


def list_orderings(texts: Sequence[str]) -> list[str]:
    """Return the first ``MOST_TEXTS`` texts, each followed by ``SHUFFLES`` copies with its words in random order."""
    listed: list[str] = []
    for text in texts[:MOST_TEXTS]:
        words = text.split()
        # The same text always has the same shuffles.
        orders = (random.Random(f"{number}/{text}").sample(words, len(words)) for number in range(SHUFFLES))
        listed += [text, *map(" ".join, orders)]
    return listed


def measure_word_order(texts: Sequence[str], language: str, embedder: Embedder) -> float | None:
    """Measure how much meaning the order of the words has, from about 0, none, to 1 and more.

    The result is the mean distance between a text and its shuffles, divided by the mean distance between the shuffles,
    minus 1. In sentences the order has meaning, so a shuffle is farther from the text than from another shuffle; in
    word salad the text is only one more shuffle.

    Args:
        language: a two-letter code.

    Returns:
        None with fewer than eight texts, or if the language is not in ``ORDER_LANGUAGES``.
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
    """Measure the likeness of one pole's texts to the trait's seeds: 1 like the pole's seeds, 0 not at all.

    The result is the mean cosine of a text with its three nearest seeds, divided by the same mean for the pole's seeds.

    Args:
        pole_seeds: the seeds of the texts' pole, a part of ``seeds``.
        seeds: the seeds of both poles.

    Returns:
        None with fewer than eight texts or four seeds.
    """
    if len(texts) < MIN_TEXTS or len(pole_seeds) < MIN_SEEDS:
        return None
    vectors = embedder.embed(seeds)
    at_pole = np.array([seed in set(pole_seeds) for seed in seeds])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    usual = _average_nearest(cosines[at_pole])
    return round(_average_nearest(embedder.embed(texts) @ vectors.T) / usual, DECIMALS) if usual > 0 else None


def _share_openings(openings: Counter[tuple[str, ...]]) -> float | None:
    """Return the expected share of texts with the opening of another text, among eight drawn without replacement.

    Given one of ``count`` texts with the same opening, the other seven are drawn from the rest (hypergeometric).
    """
    total, others = openings.total(), SUBSET_SIZE - 1
    if total < SUBSET_SIZE:
        return None
    alone = sum(count * math.comb(total - count, others) for count in openings.values())
    return 1 - alone / (total * math.comb(total - 1, others))


def _vendi_score_of_eight(vectors: Vectors) -> float | None:
    """Return the Vendi score of order 2, 1 / Σλ², with Σλ² replaced by its mean over all choices of eight rows.

    For eight rows, Σλ² is the sum of their squared cosines over 64; the eight cosines of a row with itself are 1. The
    mean over pairs does not depend on the size of the set, so this figure does not either.
    """
    count = len(vectors)
    if count < SUBSET_SIZE:
        return None
    # The smaller of the two products: with 10,000 texts, the product of the 512 columns.
    product = vectors @ vectors.T if count < vectors.shape[1] else vectors.T @ vectors
    selves = float(np.sum(np.sum(vectors * vectors, axis=1) ** 2))
    squared = (float(np.sum(product * product)) - selves) / (count * (count - 1))
    return 1 / (1 / SUBSET_SIZE + (1 - 1 / SUBSET_SIZE) * max(0.0, squared))


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS) + 0.0


def _average_nearest(cosines: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(np.sort(cosines, axis=1)[:, -NEAREST:].mean())
