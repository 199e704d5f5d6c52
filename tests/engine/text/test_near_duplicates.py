"""Two texts are near duplicates by the exact Jaccard index alone, whatever the hashes propose."""

import random

import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.text.near_duplicates import NEAR, Match, NearTexts, find_pairs, jaccard
from engine.text.words import shingle

# So many that no 5-gram occurs twice by chance; Chinese characters would be compared by 2-grams.
LETTERS = [chr(code) for code in range(0xAC00, 0xBC00)]
TEXT = "Each page stays in the cache for ten minutes, and then the server builds it again."
some_texts = st.text(st.sampled_from("abcdefgäöüßéñøžделовαβς 1234,.!?'-"), min_size=1, max_size=120)


def measure(one: str, other: str) -> float:
    return jaccard(shingle(one), shingle(other))


def find_in(text: str, *earlier: str) -> Match | None:
    seen = NearTexts()
    for other in earlier:
        seen.add(other)
    return seen.find(text)


def make_chain(shared: int, own: int, seed: int) -> tuple[str, str]:
    """Two texts of one word with ``shared`` 5-grams in common and ``own`` more each: an index of s / (s + 2·own)."""
    letters = random.Random(seed).sample(LETTERS, shared + 4 + 2 * own)
    common, one, other = letters[: shared + 4], letters[shared + 4 : -own], letters[-own:]
    return "".join(common + one), "".join(common + other)


def test_same_text_is_an_exact_match_of_the_first_that_had_it_and_another_is_none() -> None:
    match = find_in(TEXT, "Something else altogether stands here.", TEXT, TEXT)

    assert Match(TEXT, 1.0) == match
    assert match.exact
    assert None is find_in(TEXT)
    assert None is find_in(TEXT, *NEGATIVE_SEEDS, *POSITIVE_SEEDS[1:])


@pytest.mark.parametrize(
    ("shared", "own", "expected"), [(70, 15, True), (69, 15, False), (700, 150, True), (699, 150, False)]
)
def test_threshold_decides_on_both_sides(shared: int, own: int, expected: bool) -> None:
    one, other = make_chain(shared, own, seed=1)
    similarity = shared / (shared + 2 * own)
    assert similarity == measure(one, other)
    assert expected == (similarity >= NEAR.jaccard)

    found = [find_in(*make_chain(shared, own, seed)) for seed in range(20)]
    # The hashes propose .99 of the pairs at the threshold, by their formula.
    assert sum(match is not None for match in found) >= 18 if expected else not any(found)
    assert {similarity} >= {match.similarity for match in found if match}


def test_nearest_of_several_is_named_and_of_two_equally_near_the_first() -> None:
    near, nearest = TEXT.replace("ten minutes", "two minutes"), TEXT.replace("again", "anew1")
    match = find_in(TEXT, near, nearest, TEXT.replace("again", "anew2"))

    assert Match(nearest, measure(TEXT, nearest)) == match
    assert measure(TEXT, nearest) > measure(TEXT, near) >= NEAR.jaccard


def test_same_shingles_in_another_order_are_not_the_same_text() -> None:
    one, other = "abcdefabcdeg" * 2, "abcdegabcdef" * 2
    assert 0.7 < measure(one, other)
    match = find_in(one, other)

    assert match is not None
    assert not match.exact


def test_pairs_name_the_later_text_by_its_place() -> None:
    near = TEXT.replace("again", "anew")
    pairs = find_pairs([TEXT, POSITIVE_SEEDS[1], near, TEXT.upper()])

    assert [(2, Match(TEXT, measure(TEXT, near))), (3, Match(TEXT, 1.0))] == pairs


def test_texts_shorter_than_a_shingle_are_compared_too() -> None:
    for short in ("ab!", "?", ""):
        assert (Match(short, 1.0), None) == (find_in(short, short), find_in(short, "something else"))


@settings(max_examples=40)
@given(some_texts, st.lists(st.sampled_from(".,;:!?…—–()\"“”«»'’ \n\t"), max_size=8), st.randoms(use_true_random=False))
@example("ŉ ǰ ß ﬁ İ", [], random.Random(1))
@example("STRASSE straße Straße", [], random.Random(1))
def test_text_is_a_duplicate_of_itself_in_capitals_and_with_other_punctuation(
    text: str, marks: list[str], rng: random.Random
) -> None:
    # A mark inside a word parts it: marks are put where one stands already, or white space does.
    places = [index for index, character in enumerate(text) if not (character.isalnum() or character == "_")]
    changed = list(text)
    for mark in marks if places else ():
        changed[rng.choice(places)] += mark

    for variant in ("".join(changed) + "!", text.swapcase(), text.upper(), text.casefold()):
        assert Match(text, 1.0) == find_in(variant, text)
