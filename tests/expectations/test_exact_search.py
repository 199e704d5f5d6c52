"""Near texts are found exactly: the same as by comparing every pair."""

import random

import pytest

from engine.asking.held_out import OverlapIndex
from engine.text.words import shingle
from expectations.exact_search import find_overlaps, find_similar

WORDS = "the server keeps each page warm until a visitor has read its first line twice before supper today".split()


def make_texts(count: int, seed: int) -> list[str]:
    """Texts of which many differ in a few words only."""
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(4, 14))) for _ in range(count // 2)]
    for text in list(texts):
        words = text.split()
        words[draw.randrange(len(words))] = draw.choice(WORDS)
        texts.append(" ".join(words))
    return draw.sample(texts, len(texts))


def measure(one: str, other: str) -> float:
    first, second = shingle(one), shingle(other)
    return len(first & second) / len(first | second)


@pytest.mark.parametrize("min_jaccard", [0.4, 0.7])
def test_same_texts_are_found_as_by_comparing_every_pair(min_jaccard: float) -> None:
    texts, others = make_texts(60, 1), make_texts(40, 2)
    expected = {}
    for number, text in enumerate(texts):
        scores = [measure(text, other) for other in (*others, *texts[:number])]
        if max(scores) >= min_jaccard:
            expected[number] = max(scores)
    found = find_similar(texts, others, min_jaccard, among=True)

    assert {} == find_similar(["A text of its own."] * 2, [], min_jaccard)
    assert expected == {number: item.similarity for number, item in found.items()}
    assert all(item.similarity == measure(texts[number], item.text) for number, item in found.items())
    assert expected


def test_overlaps_are_those_of_the_index_that_screens() -> None:
    run = "and then every single guest of ours has to leave"
    others = [*make_texts(30, 3), f"First of all it rings, {run} by the kitchen door."]
    texts = [*make_texts(30, 4), f"Nobody knew of it: {run}, said the porter whom we met.", "Nothing of the kind."]
    index = OverlapIndex(others)
    expected = {text: found.detail for text in texts if (found := index.find(text))}

    assert expected == find_overlaps(texts, others)
    assert any(detail.startswith("8 words in a row of: First") for detail in expected.values())
