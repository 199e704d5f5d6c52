"""A word, an opening or a length that marks one pole is exchanged away, for pairs as good."""

import pytest
from fakes.builders import make_exemplar, make_level, make_model, make_test_plan, make_trait

from engine.choosing.choice import ChoiceContext, choose_exemplars
from engine.choosing.exchange import MAX_LOSS, Pair, exchange_pairs
from engine.domain.definition import TraitType
from engine.text.words import split_words

NOUNS = (
    "kettle harbour lamp violin ladder basket chimney garden ticket mirror bridge window candle saddle anchor barrel"
)


def make_pair(index: int, positive: str, negative: str, draw: int = 0) -> Pair:
    """A pair of one subject: what the texts say after words that no others have."""
    noun = NOUNS.split()[index]
    return (
        make_exemplar(f"{noun} p{index}{draw} {positive}", "positive", index, draw=draw),
        make_exemplar(f"{noun} n{index}{draw} {negative}", "negative", index, draw=draw),
    )


def make_marked(marked: int, plain: int) -> list[Pair]:
    """Pairs of which the first have a word in the positive text alone."""
    return [make_pair(index, "you" if index < marked else "it", "it") for index in range(marked + plain)]


def count_marked(pairs: list[Pair], chosen: list[int]) -> int:
    return sum("you" in split_words(pairs[index][0].text or "") for index in chosen)


def make_opened(begins: str, index: int) -> Pair:
    """A pair that differs in the first word alone."""
    noun = NOUNS.split()[index]
    return (
        make_exemplar(f"{begins} {noun} please now", "positive", index),
        make_exemplar(f"Now {noun} please now", "negative", index),
    )


@pytest.mark.parametrize(
    "pairs",
    [
        make_marked(8, 8),
        [make_opened("Please" if index < 8 else "Now", index) for index in range(16)],
        [make_pair(index, "it " * (9 if index < 8 else 3), "it " * 3) for index in range(16)],
    ],
    ids=["word", "opening", "length"],
)
def test_mark_of_one_pole_goes_until_chance_would_do_as_much(pairs: list[Pair]) -> None:
    assert 4 == sum(index < 8 for index in exchange_pairs(range(8), pairs, [0.0] * 16, 8))


def test_pairs_stay_where_nothing_tells_the_poles_apart_beyond_chance() -> None:
    pairs = make_marked(4, 12)

    assert [*range(8)] == exchange_pairs(range(8), pairs, [0.0] * 16, 8)
    assert [] == exchange_pairs([], pairs, [0.0] * 16, 8)


def test_pair_that_is_much_worse_does_not_come_in() -> None:
    pairs = make_marked(8, 8)
    worse = [0.0] * 8 + [-MAX_LOSS - 0.01] * 8

    assert [*range(8)] == exchange_pairs(range(8), pairs, worse, 8)
    assert 4 == count_marked(pairs, exchange_pairs(range(8), pairs, [0.0] * 8 + [-MAX_LOSS] * 8, 8))


def test_of_pairs_that_help_as_much_the_best_come_in() -> None:
    pairs = make_marked(8, 8)
    scores = [0.0] * 8 + [float(index) for index in range(8)]

    assert {12, 13, 14, 15} == {*exchange_pairs(range(8), pairs, scores, 8)} - {*range(8)}


def test_another_draft_comes_in_for_the_same_subject_and_no_subject_comes_twice() -> None:
    pairs = [*make_marked(8, 0), *(make_pair(index, "it", "it", draw=1) for index in range(8))]
    chosen = exchange_pairs(range(8), pairs, [0.0] * 16, 8)

    assert 4 == count_marked(pairs, chosen)
    assert 8 == len({pairs[index][0].pair_id for index in chosen})


@pytest.mark.parametrize(("most", "left"), [(0, 8), (3, 5), (4, 4), (8, 4)])
def test_no_more_are_exchanged_than_may_be(most: int, left: int) -> None:
    pairs = make_marked(8, 8)

    assert left == count_marked(pairs, exchange_pairs(range(8), pairs, [0.0] * 16, most))


@pytest.mark.parametrize(("kind", "exchanged"), [("spectrum", True), ("topic", False)])
def test_choice_exchanges_for_traits_that_are_not_defined_by_their_words(kind: TraitType, exchanged: bool) -> None:
    pairs = make_marked(8, 8)
    plan = make_test_plan(make_model(make_trait(type=kind)), make_level(8))
    choice = choose_exemplars(
        plan, [exemplar for pair in pairs for exemplar in pair], ChoiceContext(exchanges={"clarity": 8})
    )

    assert choice.complete
    assert 8 == len(choice.paired)
    assert exchanged == (sum("you" in split_words(exemplar.text or "") for exemplar in choice.chosen) <= 4)
