"""Figures of variety tell a varied set from a collapsed one, and do not hang on how many texts there are."""

import itertools
import math
from statistics import fmean

from fakes.builders import SCENARIO_POOL
from fakes.word_vectors import WordVectors

from engine.asking.scenarios import measure_coverage
from engine.choosing.diversity import SAMPLED_NGRAMS, SUBSET_SIZE, measure_texts
from engine.domain.samples import Scenario
from engine.domain.verdict import Coverage, Variety

NAMES = "Anna Bert Clara David Emma Farid Greta Henry Ingrid Jonas Karin Louis Maria Nadia Oscar Paula".split()
WORDS = [f"w{number}" for number in range(SAMPLED_NGRAMS + 1)]
FIGURES = [name for name in Variety.__slots__ if name != "count"]


def measure(*texts: str) -> Variety:
    return measure_texts(texts, WordVectors())


def test_distinct_pairs_are_those_expected_among_fifty() -> None:
    """Fifty pairs, each twice: one of them is not among fifty of the hundred with chance C(98, 50) / C(100, 50)."""
    missed = math.comb(98, 50) / math.comb(100, 50)

    assert round(1 - missed, 4) == measure(" ".join(WORDS), " ".join(WORDS)).distinct_2
    assert [1.0, None] == [measure(" ".join(WORDS[start:])).distinct_2 for start in (0, 1)]
    assert 0.02 == measure("a " * (SAMPLED_NGRAMS + 1)).distinct_2


def test_figures_of_eight_are_the_mean_over_all_choices_of_eight() -> None:
    """Ten texts, of which some are equal: each of the 45 choices is worked out by itself."""
    texts = ["a", "a", "a", "b", "b", *"cdefg"]
    choices = list(itertools.combinations(texts, 8))
    sums = [sum(one == other for one in chosen for other in chosen) / 64 for chosen in choices]
    shares = [sum(chosen.count(text) > 1 for text in chosen) / 8 for chosen in choices]
    found = measure(*texts)

    assert round(1 / fmean(sums), 4) == found.vendi_of_eight
    assert round(fmean(shares), 4) == found.shared_openings_of_eight
    assert [8.0, 1.0] == [measure(*texts).vendi_of_eight for texts in ("abcdefgh", "a" * 8)]
    assert (None, None) == ((seven := measure(*"abcdefg")).vendi_of_eight, seven.shared_openings_of_eight)


def test_few_texts_have_the_figures_that_need_no_more() -> None:
    one, texts = measure("One text alone."), [f"a text about matter{number} and nothing else" for number in range(20)]
    known, unknown = measure(*texts), measure_texts(texts, None)

    assert Variety(count=0, **dict.fromkeys(FIGURES)) == measure()
    assert (1, None, None) == (one.count, one.vendi_of_eight, one.distinct_2)
    assert 8.0 == measure(*["…"] * SUBSET_SIZE).vendi_of_eight
    # Without an encoder words are measured and vectors are not.
    assert unknown.vendi_of_eight is None
    assert (known.distinct_2, known.shared_openings_of_eight) == (unknown.distinct_2, unknown.shared_openings_of_eight)


def test_coverage_counts_what_is_used_of_what_so_many_texts_can_use() -> None:
    scenarios = [Scenario(f"subject {number % 3}", "a new colleague", "a note", "two") for number in range(4)]
    once = Coverage(1, 2)
    expected = {"subject": Coverage(3, 4), "audience": once, "form": once, "length": once}

    assert expected == measure_coverage(scenarios, SCENARIO_POOL)
    assert {Coverage(0, 0)} == set(measure_coverage([], SCENARIO_POOL).values())
