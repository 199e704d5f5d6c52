"""Measures the diversity ("variety") of the texts of one pole, with figures that are comparable between set sizes.

Most diversity measures depend on the size of a set, whatever its texts are like. These are therefore the mean over all
choices of eight texts, in closed form, so without randomness (docs/decisions/005-duplicates.md). The gate and the
report use them.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.choosing.coherence import DECIMALS, list_orderings, measure_seed_likeness, measure_word_order
from engine.choosing.rounds import Rounds
from engine.domain.model import POLES, Pole
from engine.domain.verdict import PoleVariety, Variety
from engine.text.embedding import Embedder, Vectors
from engine.text.words import split_words

# The number of exemplars per pole at the lowest effort, so that even its sets have the figures "of eight".
SUBSET_SIZE = 8
OPENING_WORDS = 3


def measure_variety(rounds: Rounds, embedder: Embedder) -> tuple[PoleVariety, ...]:
    """Measures the diversity of the chosen exemplars of each trait and pole, and of the pole's seeds if it has any."""
    return tuple(
        _measure_pole(rounds, trait.key, pole, embedder) for trait in rounds.plan.model.traits for pole in POLES
    )


def list_variety_texts(rounds: Rounds) -> list[str]:
    """Lists the texts that ``measure_variety`` embeds beside those that the rounds have embedded."""
    model = rounds.plan.model
    cells = [(trait.key, pole) for trait in model.traits for pole in POLES]
    groups = [
        *([seed.text for seed in model.seeds_at(*cell)] for cell in cells),
        *([item.text or "" for item in rounds.choice.chosen if (item.trait, item.pole) == cell] for cell in cells),
    ]
    return [text for group in groups for text in list_orderings(group)]


def measure_texts(texts: Sequence[str], embedder: Embedder | None) -> Variety:
    """Measures the diversity of texts, rounded to four decimals.

    Args:
        embedder: None where the encoder does not know the language: ``vendi_of_eight`` is None.
    """
    openings = Counter(tuple(split_words(text)[:OPENING_WORDS]) for text in texts)
    return Variety(
        count=len(texts),
        vendi_of_eight=None if embedder is None else _round(_vendi_score_of_eight(embedder.embed(texts))),
        shared_openings_of_eight=_round(_share_openings(openings)),
    )


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


def _measure_pole(rounds: Rounds, trait: str, pole: Pole, embedder: Embedder) -> PoleVariety:
    chosen = [item for item in rounds.choice.chosen if item.trait == trait and item.pole == pole]
    texts, language = [item.text or "" for item in chosen], rounds.plan.language
    asked = embedder if language.encoder_has_say else None
    both = [seed.text for side in POLES for seed in rounds.plan.model.seeds_at(trait, side)]
    seeds = [seed.text for seed in rounds.plan.model.seeds_at(trait, pole)]
    likeness = measure_seed_likeness(texts, seeds, both, asked) if asked else None
    return PoleVariety(
        trait=trait,
        pole=pole,
        exemplars=replace(_measure_texts(texts, language.code, asked), seed_likeness=likeness),
        seeds=_measure_texts(seeds, language.code, asked) if seeds else None,
    )


def _measure_texts(texts: Sequence[str], language: str, embedder: Embedder | None) -> Variety:
    order = measure_word_order(texts, language, embedder) if embedder else None
    return replace(measure_texts(texts, embedder), word_order=order)
