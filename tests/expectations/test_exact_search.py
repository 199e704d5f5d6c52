"""Near texts are found exactly: the same as by comparing every pair."""

import random

import pytest

from engine.text.words import shingle
from expectations.exact_search import find_near_pairs

WORDS = "the server keeps each page warm until a visitor has read its first line twice before supper today".split()


def make_texts(count: int) -> list[str]:
    """Texts of which many differ in a few words only."""
    draw = random.Random(1)
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
    texts = make_texts(100)
    scores = [[measure(text, other) for other in texts[:number]] for number, text in enumerate(texts)]
    best = [(text, max(own)) for text, own in zip(texts, scores, strict=True) if own]
    found = find_near_pairs(texts, min_jaccard)

    assert [] == find_near_pairs(["A text of its own."], min_jaccard)
    assert [pair for pair in best if pair[1] >= min_jaccard] == [(text, share) for text, _, share in found]
    assert all(share == measure(text, other) for text, other, share in found)
    assert found
