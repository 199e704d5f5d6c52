"""The report's picture places texts by the judge's odds, or by a classifier that has not seen them."""

import math

import pytest
from fakes.builders import make_exemplar
from hypothesis import given
from hypothesis import strategies as st

from engine.lean import place_exemplars
from engine.model import POLES
from engine.samples import Exemplar

POSITIVE = ("keep the plain key here", "keep one plain lamp here", "the plain drawer is here", "keep the lamp plain")
NEGATIVE = (
    "pursuant to validity windows",
    "validity regimes pursuant thereto",
    "windows of validity are governed",
    "governed regimes pursuant to windows",
)


def make_group(trait: str = "clarity") -> list[Exemplar]:
    """Four texts a pole that share no word with the other pole."""
    positive = [make_exemplar(text, "positive", index, trait) for index, text in enumerate(POSITIVE)]
    return positive + [make_exemplar(text, "negative", index, trait) for index, text in enumerate(NEGATIVE)]


def list_places(exemplars: list[Exemplar]) -> list[float]:
    places = place_exemplars(exemplars)
    return [places[exemplar.key] for exemplar in exemplars]


def test_nothing_has_no_place() -> None:
    assert {} == place_exemplars([])


def test_positives_lie_right_of_negatives_where_words_tell_them_apart() -> None:
    places = list_places(make_group())

    assert max(places[4:]) < 0.5 < min(places[:4])


def test_text_that_went_to_the_other_pole_is_seen() -> None:
    stray = make_exemplar("pursuant to governed windows", "positive", 9)
    places = place_exemplars([*make_group(), stray])

    assert places[stray.key] < 0.5


def test_text_is_not_placed_by_its_own_label() -> None:
    """Its own words are nobody else's: of two poles of like size it lies in the middle, whichever pole it has."""
    for pole in POLES:
        own = make_exemplar("zebra quagga okapi", pole, 9)
        other = make_exemplar("gnu eland kudu", "negative" if pole == "positive" else "positive", 9)
        places = place_exemplars([own, other])
        size_own, size_other = 0 + 7, 3 + 7
        expected = 3 * (math.log(1 / size_own) - math.log(1 / size_other)) / math.sqrt(3)
        odds = expected if pole == "positive" else -expected

        assert 1 / (1 + math.exp(-odds)) == pytest.approx(places[own.key])


def test_doubled_text_is_placed_by_its_double_alone() -> None:
    """A text that is left out, and not its twin, leans to the twin's pole; alone it does not."""
    background = [make_exemplar("gnu eland kudu", "positive", 0), make_exemplar("yak zebu gaur", "negative", 0)]
    alone = make_exemplar("zebra quagga okapi", "negative", 1)
    twin = make_exemplar("zebra quagga okapi", "negative", 2)
    without = place_exemplars([*background, alone])[alone.key]
    with_twin = place_exemplars([*background, alone, twin])[alone.key]

    assert with_twin < 0.5
    assert with_twin < without


def test_rejected_texts_are_placed_and_teach_nothing() -> None:
    group = make_group()
    rejected = make_exemplar("pursuant to windows of validity", "positive", 9, reason="off_pole")
    places = place_exemplars([*group, rejected])

    assert places[rejected.key] < 0.5
    assert list_places(group) == [places[exemplar.key] for exemplar in group]


def test_exemplar_without_a_text_has_no_place() -> None:
    failed = make_exemplar(None, index=9, reason="cell_failed")

    assert failed.key not in place_exemplars([*make_group(), failed])


def test_traits_are_placed_each_by_itself() -> None:
    one, other = make_group("clarity"), make_group("tone")
    both = place_exemplars([*one, *other])

    assert place_exemplars(one) | place_exemplars(other) == both
    assert 16 == len(both)


def test_judges_odds_are_the_place_where_there_are_any() -> None:
    odds = (-4.0, -1.0, 0.5, 3.0)
    judged = [make_exemplar("text", index=index, odds=value) for index, value in enumerate(odds)]
    unjudged = make_exemplar("keep the plain key", index=9, reason="too_short")
    places = place_exemplars([*judged, unjudged])

    expected = [1 / (1 + math.exp(-(value - 0.5))) for value in odds]
    assert expected == pytest.approx([places[exemplar.key] for exemplar in judged])
    assert unjudged.key not in places


def test_half_of_the_judged_lie_on_either_side() -> None:
    judged = [make_exemplar("text", index=index, odds=5.0 + index) for index in range(7)]

    assert [True] * 3 == [place < 0.5 for place in list_places(judged)[:3]]
    assert [0.5] + [True] * 3 == [list_places(judged)[3], *(place > 0.5 for place in list_places(judged)[4:])]


words = st.lists(st.sampled_from("the plain key lamp pursuant validity window ¿ 1 —".split()), max_size=40)


@given(st.lists(st.tuples(words, st.sampled_from(POLES), st.booleans()), max_size=8), st.booleans())
def test_place_is_a_share_whatever_the_texts(texts: list[tuple[list[str], str, bool]], judged: bool) -> None:
    exemplars = [
        make_exemplar(
            " ".join(text),
            pole,  # type: ignore[arg-type]
            index,
            reason=None if stands else "too_short",
            odds=1000.0 * (-1) ** index if judged else None,
        )
        for index, (text, pole, stands) in enumerate(texts)
    ]
    places = place_exemplars(exemplars)

    assert {exemplar.key for exemplar in exemplars if exemplar.text} == set(places)
    assert all(0.0 <= place <= 1.0 for place in places.values())
