"""Figures of variety tell a varied set from a collapsed one, and do not hang on how many texts there are."""

import itertools
from statistics import fmean

from fakes.word_vectors import WordVectors

from engine.choosing.diversity import SUBSET_SIZE, measure_texts
from engine.domain.verdict import Variety

FIGURES = [name for name in Variety.__slots__ if name != "count"]


def measure(*texts: str) -> Variety:
    return measure_texts(texts, WordVectors())


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
    assert (1, None) == (one.count, one.vendi_of_eight)
    assert 8.0 == measure(*["…"] * SUBSET_SIZE).vendi_of_eight
    # Without an encoder words are measured and vectors are not.
    assert unknown.vendi_of_eight is None
    assert known.shared_openings_of_eight == unknown.shared_openings_of_eight
