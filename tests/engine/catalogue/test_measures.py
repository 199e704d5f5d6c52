"""Poles that differ are told apart, traits that say one thing have one axis, and a set of another kind has drifted."""

import itertools
from collections.abc import Sequence

import pytest
from fakes.word_vectors import WordVectors

from engine.catalogue.condition import Measures, TraitMeasure
from engine.catalogue.drawn_texts import DrawnText, Origin
from engine.catalogue.measures import MIN_COMPARED, measure_texts
from engine.domain.model import POLES, Pole

LAST = {"clarity": "run-2", "safety": "run-2"}


def write(words: Sequence[str], count: int, pole: Pole, origin: Origin = "earlier", start: int = 0) -> list[DrawnText]:
    """Texts with two of the pole's words, each beside subjects of its own."""
    pairs = list(itertools.combinations(words, 2))
    return [
        DrawnText(f"{' '.join(pairs[n % len(pairs)])} subject{n} thing{n}", pole, f"{origin}/{n}", origin)
        for n in range(start, start + count)
    ]


def make_texts(
    positive: Sequence[str], negative: Sequence[str], count: int = 20, origin: Origin = "earlier", start: int = 0
) -> list[DrawnText]:
    words = dict(zip(POLES, (positive, negative), strict=True))
    return [text for pole in POLES for text in write(words[pole], count, pole, origin, start)]


PLAIN, STIFF = ("plain", "short", "clear", "easy"), ("pursuant", "hereby", "tiered", "regime")
SAFE, RISKY = ("helmet", "guard", "fence", "lock"), ("blade", "spark", "fall", "fume")
OTHER = ("lyric", "verse", "rhyme", "stanza")


def measure(**drawn: list[DrawnText]) -> Measures:
    return measure_texts("en", drawn, LAST, WordVectors())


def measure_one(texts: list[DrawnText]) -> TraitMeasure:
    [found] = measure(clarity=texts).traits
    return found


def test_poles_of_different_words_are_told_apart() -> None:
    found = measure_one(make_texts(PLAIN, STIFF))

    assert (1.0, "apart") == (found.auc, found.sureness)
    assert {"positive": 20, "negative": 20} == found.texts


def test_poles_of_the_same_words_are_not() -> None:
    found = measure_one([*write(PLAIN, 20, "positive"), *write(PLAIN, 20, "negative", start=100)])

    assert found.auc is not None
    assert found.auc < 0.7
    assert "overlapping" == found.sureness


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_texts_give_no_figures(count: int) -> None:
    found = measure_one(make_texts(PLAIN, STIFF, count))

    assert (None, None, None) == (found.auc, found.sureness, found.drift)


def test_traits_of_one_kind_have_one_axis_and_others_their_own() -> None:
    beside = make_texts(PLAIN, STIFF, start=100)
    [same] = measure(clarity=make_texts(PLAIN, STIFF), safety=beside).angles
    [turned] = measure(clarity=make_texts(PLAIN, STIFF), safety=make_texts(STIFF, PLAIN, start=100)).angles
    [other] = measure(clarity=make_texts(PLAIN, STIFF), safety=make_texts(SAFE, RISKY, start=100)).angles

    assert 1.0 == pytest.approx(same.cosine, abs=0.05)
    assert -1.0 == pytest.approx(turned.cosine, abs=0.05)
    assert 0.0 == pytest.approx(other.cosine, abs=0.1)


def test_few_texts_have_no_angle() -> None:
    few = make_texts(SAFE, RISKY, MIN_COMPARED - 1)

    assert () == measure(clarity=make_texts(PLAIN, STIFF), safety=few).angles


def test_last_set_of_the_same_kind_has_not_drifted() -> None:
    texts = [*make_texts(PLAIN, STIFF), *make_texts(PLAIN, STIFF, origin="last", start=50)]
    drift = measure_one(texts).drift

    assert drift is not None
    assert ("run-2", 1.0, 1.0) == (drift.run_id, drift.graded, drift.own)
    assert max(drift.told_apart.values()) < 0.8
    assert {"positive": 0.125, "negative": 0.125} == drift.errors


def test_last_set_of_other_words_has_drifted() -> None:
    texts = [*make_texts(PLAIN, STIFF), *make_texts(OTHER, SAFE, origin="last", start=50)]
    drift = measure_one(texts).drift

    assert drift is not None
    assert min(drift.told_apart.values()) > 0.95


def test_last_set_with_the_poles_turned_round_is_not_graded() -> None:
    texts = [*make_texts(PLAIN, STIFF), *make_texts(STIFF, PLAIN, origin="last", start=50)]
    drift = measure_one(texts).drift

    assert drift is not None
    assert (0.0, 1.0) == (drift.graded, drift.own)


def test_authored_texts_are_no_earlier_set() -> None:
    texts = [*make_texts(PLAIN, STIFF, origin="authored"), *make_texts(OTHER, SAFE, origin="last", start=50)]

    assert measure_one(texts).drift is None
