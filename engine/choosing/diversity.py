"""Measures the diversity ("variety") of the texts of one pole, with figures that are comparable between set sizes.

Most diversity measures depend on the size of a set, whatever its texts are like. These are therefore the mean over all
choices of eight texts, in closed form, so without randomness; n-grams are counted among 50 drawn in the same way
(docs/decisions/010). The gate and the report use both.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from engine.asking.scenarios import measure_coverage
from engine.choosing.coherence import DECIMALS, list_orderings, measure_seed_likeness, measure_word_order
from engine.choosing.rounds import Rounds
from engine.domain.model import POLES, Pole
from engine.domain.verdict import PoleVariety, Variety
from engine.text.embedding import Embedder, Vectors
from engine.text.words import split_words

# The number of exemplars per pole at the lowest effort, so that even its sets have the figures "of eight".
SUBSET_SIZE = 8
# Eight texts of the shortest length, 8 words, have 56 pairs of words.
SAMPLED_NGRAMS = 50
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
        *([seed.text for seed in model.draw_seeds_at(*cell)] for cell in cells),
        *([item.text or "" for item in rounds.choice.chosen if (item.trait, item.pole) == cell] for cell in cells),
    ]
    return [text for group in groups for text in list_orderings(group)]


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


def _measure_pole(rounds: Rounds, trait: str, pole: Pole, embedder: Embedder) -> PoleVariety:
    chosen = [item for item in rounds.choice.chosen if item.trait == trait and item.pole == pole]
    texts, language = [item.text or "" for item in chosen], rounds.plan.language
    asked = embedder if language.encoder_has_say else None
    both = [seed.text for side in POLES for seed in rounds.plan.model.draw_seeds_at(trait, side)]
    seeds = [seed.text for seed in rounds.plan.model.draw_seeds_at(trait, pole)]
    likeness = measure_seed_likeness(texts, seeds, both, asked) if asked else None
    return PoleVariety(
        trait=trait,
        pole=pole,
        exemplars=replace(_measure_texts(texts, language.code, asked), seed_likeness=likeness),
        seeds=_measure_texts(seeds, language.code, asked) if seeds else None,
        coverage=measure_coverage([item.scenario for item in chosen], rounds.plan.scenario_pool),
    )


def _measure_texts(texts: Sequence[str], language: str, embedder: Embedder | None) -> Variety:
    order = measure_word_order(texts, language, embedder) if embedder else None
    return replace(measure_texts(texts, embedder), word_order=order)
