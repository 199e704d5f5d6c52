"""Two texts are near duplicates by the exact Jaccard index alone, whatever the hashes propose."""

import random

import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.text.near_duplicates import Match, NearTexts, find_pairs, jaccard
from engine.text.signatures import NEAR_DUPLICATE_JACCARD
from engine.text.words import normalise, shingle

# So many that no 5-gram occurs twice by chance; Chinese characters would be compared by 2-grams.
LETTERS = [chr(code) for code in range(0xAC00, 0xBC00)]
TEXT = "Each page stays in the cache for ten minutes, and then the server builds it again."
some_texts = st.text(st.sampled_from("abcdefgäöüßéñøžделовαβς 1234,.!?'-"), min_size=1, max_size=120)


def measure(one: str, other: str) -> float:
    return jaccard(shingle(one), shingle(other))


def find_in(text: str, *earlier: str) -> Match | None:
    seen = NearTexts()
    for number, other in enumerate(earlier):
        seen.add(str(number), other)
    return seen.find(text)


def make_chain(shared: int, own: int, seed: int) -> tuple[str, str]:
    """Two texts of one word with ``shared`` 5-grams in common and ``own`` more each: an index of s / (s + 2·own)."""
    letters = random.Random(seed).sample(LETTERS, shared + 4 + 2 * own)
    common, one, other = letters[: shared + 4], letters[shared + 4 : -own], letters[-own:]
    return "".join(common + one), "".join(common + other)


def test_nothing_is_near_the_first_text() -> None:
    assert None is NearTexts().find(TEXT)


def test_same_text_is_an_exact_match_of_the_first_that_had_it() -> None:
    match = find_in(TEXT, "Something else altogether stands here.", TEXT, TEXT)

    assert Match("1", TEXT, 1.0) == match
    assert match.exact


def test_texts_of_nothing_in_common_do_not_match() -> None:
    assert None is find_in(TEXT, *NEGATIVE_SEEDS, *POSITIVE_SEEDS[1:])


@pytest.mark.parametrize(
    ("shared", "own", "expected"),
    [(70, 15, True), (69, 15, False), (700, 150, True), (699, 150, False), (140, 30, True), (139, 30, False)],
)
def test_threshold_decides_on_both_sides(shared: int, own: int, expected: bool) -> None:
    one, other = make_chain(shared, own, seed=1)
    similarity = shared / (shared + 2 * own)
    assert similarity == measure(one, other)
    assert expected == (similarity >= NEAR_DUPLICATE_JACCARD)

    found = [find_in(*make_chain(shared, own, seed)) for seed in range(50)]
    # The hashes propose .99 of the pairs at the threshold, by their formula.
    assert sum(match is not None for match in found) >= 46 if expected else not any(found)
    assert {similarity} >= {match.similarity for match in found if match}


def test_proposed_pair_below_the_threshold_is_not_flagged() -> None:
    # At .66 the hashes propose .96 of the pairs, by their formula, and none of them is a near duplicate.
    pairs = [make_chain(66, 17, seed) for seed in range(200)]
    assert {0.66} == {measure(one, other) for one, other in pairs}

    assert [None] * 200 == [find_in(one, other) for one, other in pairs]


def test_nearly_all_pairs_clearly_above_the_threshold_are_found() -> None:
    found = [find_in(*make_chain(80, 10, seed)) for seed in range(200)]

    assert 200 == sum(match is not None for match in found)
    assert {0.8} == {match.similarity for match in found if match}


def test_nearest_of_several_is_named() -> None:
    near = TEXT.replace("ten minutes", "two minutes")
    nearest = TEXT.replace("again", "anew")
    match = find_in(TEXT, near, nearest)

    assert match is not None
    assert ("1", nearest) == (match.key, match.text)
    assert measure(TEXT, nearest) == match.similarity > measure(TEXT, near) >= NEAR_DUPLICATE_JACCARD


def test_first_of_two_equally_near_is_named() -> None:
    match = find_in(TEXT, TEXT.replace("again", "anew1"), TEXT.replace("again", "anew2"))

    assert match is not None
    assert "0" == match.key


def test_same_shingles_in_another_order_are_not_the_same_text() -> None:
    one, other = "abcdefabcdeg" * 2, "abcdegabcdef" * 2
    assert 0.7 < measure(one, other)
    match = find_in(one, other)

    assert match is not None
    assert not match.exact


def test_pairs_name_the_later_text_by_its_key() -> None:
    near = TEXT.replace("again", "anew")
    pairs = find_pairs([("a", TEXT), ("b", POSITIVE_SEEDS[1]), ("c", near), ("d", TEXT.upper())])

    assert [("c", Match("a", TEXT, measure(TEXT, near))), ("d", Match("a", TEXT, 1.0))] == pairs


@pytest.mark.parametrize("short", ["a", "ab!", "?", ""])
def test_texts_shorter_than_a_shingle_are_compared_too(short: str) -> None:
    assert Match("0", short, 1.0) == find_in(short, short)
    assert None is find_in(short, "something else")


@given(some_texts)
@example("ŉ ǰ ß ﬁ İ")
@example("STRASSE straße Straße")
def test_text_is_a_duplicate_of_itself_in_capitals(text: str) -> None:
    for variant in (text.swapcase(), text.upper(), text.casefold()):
        match = find_in(variant, text)
        assert match is not None
        assert match.exact


@given(some_texts, st.lists(st.sampled_from(".,;:!?…—–()\"“”«»'’ \n\t"), max_size=8), st.randoms(use_true_random=False))
def test_text_is_a_duplicate_of_itself_with_other_punctuation(text: str, marks: list[str], rng: random.Random) -> None:
    # A mark inside a word parts it: marks are put where one stands already, or white space does.
    places = [index for index, character in enumerate(text) if not (character.isalnum() or character == "_")]
    changed = list(text)
    for mark in marks:
        if places:
            changed[rng.choice(places)] += mark
    match = find_in("".join(changed) + "!", text)

    assert match is not None
    assert match.exact


@given(some_texts, some_texts)
def test_index_is_symmetric_and_a_share(one: str, other: str) -> None:
    assert measure(one, other) == measure(other, one)
    assert 0.0 <= measure(one, other) <= 1.0
    assert 1.0 == measure(one, one)
    if normalise(one) == normalise(other):
        assert 1.0 == measure(one, other)


@given(st.lists(some_texts, max_size=6))
@settings(max_examples=50)
def test_pairs_depend_on_nothing_but_the_texts(texts: list[str]) -> None:
    keyed = [(str(number), text) for number, text in enumerate(texts)]

    assert find_pairs(keyed) == find_pairs(keyed)
    assert all(match.similarity >= NEAR_DUPLICATE_JACCARD for _, match in find_pairs(keyed))
