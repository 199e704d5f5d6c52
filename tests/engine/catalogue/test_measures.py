"""Poles that differ are told apart, traits that say one thing have one axis, and a set of another kind has drifted."""

import itertools
from collections.abc import Sequence

import pytest
from fakes.word_vectors import WordVectors

from engine.catalogue.condition import Measures
from engine.catalogue.drawn_texts import DrawnText, Origin
from engine.catalogue.measures import MIN_COMPARED, measure_texts
from engine.domain.model import POLES

PLAIN, STIFF = ("plain", "short", "clear", "easy"), ("pursuant", "hereby", "tiered", "regime")
SAFE, RISKY = ("helmet", "guard", "fence", "lock"), ("blade", "spark", "fall", "fume")


def make_texts(
    positive: Sequence[str], negative: Sequence[str], count: int = 20, origin: Origin = "earlier", start: int = 0
) -> list[DrawnText]:
    """Texts with two of their pole's words, each beside subjects of its own."""
    pairs = {
        pole: list(itertools.combinations(words, 2)) for pole, words in zip(POLES, (positive, negative), strict=True)
    }
    return [
        DrawnText(f"{' '.join(pairs[pole][n % 6])} subject{n}{pole} thing{n}", pole, f"{origin}/{n}", origin)
        for pole in POLES
        for n in range(start, start + count)
    ]


def measure(**drawn: list[DrawnText]) -> Measures:
    return measure_texts("en", drawn, {"clarity": "run-2", "safety": "run-2"}, WordVectors())


def test_poles_of_different_words_are_told_apart_and_those_of_the_same_are_not() -> None:
    drawn = make_texts(PLAIN, STIFF), make_texts(PLAIN, PLAIN), make_texts(PLAIN, STIFF, 3)
    apart, same, few = (measure(clarity=texts).traits[0] for texts in drawn)

    assert (1.0, False, {"positive": 20, "negative": 20}) == (apart.auc, apart.overlap, apart.texts)
    assert (True, True) == ((same.auc or 1) < 0.7, same.overlap)
    assert (None, None, None) == (few.auc, few.overlap, few.drift)


def test_traits_of_one_kind_have_one_axis_and_others_their_own() -> None:
    for positive, negative, cosine in ((PLAIN, STIFF, 1.0), (STIFF, PLAIN, -1.0), (SAFE, RISKY, 0.0)):
        other = make_texts(positive, negative, start=100)
        [angle] = measure(clarity=make_texts(PLAIN, STIFF), safety=other).angles
        assert cosine == pytest.approx(angle.cosine, abs=0.1)

    few = make_texts(SAFE, RISKY, MIN_COMPARED - 1)
    assert () == measure(clarity=make_texts(PLAIN, STIFF), safety=few).angles
