"""A search of stored texts by their hashes finds what a search of the texts themselves finds."""

import hashlib
import itertools
import random

import pytest
from fakes.long import choose

from engine.store.index.search import (
    BandSearch,
    MemoryTexts,
    find_nearest,
    match_stored,
    share_runs,
)
from engine.text.near_duplicates import APART, NEAR, Nearness, NearTexts, make_hash_column, sign
from engine.text.words import COMMON_RUN

_DRAWN = random.Random(1)
WORDS = ["".join(_DRAWN.choices("abcdefghijklmnoprstuvwz", k=_DRAWN.randint(2, 8))) for _ in range(4_000)]
WEIGHTS = list(itertools.accumulate(1 / (rank + 20) for rank in range(len(WORDS))))
SENTENCE = "The spare key of the cellar hangs on the second nail behind the blue kitchen door."


def write_text(number: int) -> list[str]:
    return random.Random(number).choices(WORDS, cum_weights=WEIGHTS, k=30)


def change_words(words: list[str], count: int, seed: int) -> list[str]:
    """The words with so many of them, one after the other, replaced: the more, the lower the Jaccard index."""
    start = random.Random(seed).randrange(len(words) - count + 1)
    return [*words[:start], *(f"{word}{seed}" for word in words[start : start + count]), *words[start + count :]]


def test_verdicts_on_planted_pairs_are_those_of_a_search_of_the_texts_themselves() -> None:
    """More of them than a block has; 0 to 9 of 30 words differ: an index of 1 down to .5 and below."""
    stored = [" ".join(write_text(number)) for number in range(choose(8_400, 18_000))]
    new = [" ".join(change_words(write_text(n * len(stored) // 300), n % 10, n)) for n in range(300)]
    seen = NearTexts()
    for text in stored:
        seen.add(text)
    expected = {text: match for text in new if (match := seen.find(text))}
    found = find_nearest(new, MemoryTexts(stored))

    assert expected == found
    assert 150 < len(expected) < 300
    assert {True, False} == {match.exact for match in expected.values()}


@pytest.mark.parametrize("kind", [NEAR, APART], ids=["near", "apart"])
def test_a_stored_text_with_a_word_changed_is_found_by_either_kind(kind: Nearness) -> None:
    stored = [" ".join(write_text(number)) for number in range(300)]
    asked = ["Nothing like any of them stands here today.", " ".join(change_words(write_text(217), 1, 1))]
    found = list(match_stored(asked, MemoryTexts(stored), kind))

    assert [(1, 217, stored[217])] == [(item.query, item.row, item.text) for item in found]
    assert kind.jaccard < found[0].similarity < 1


def test_runs_of_words_are_found_wherever_they_stand_and_no_shorter_ones() -> None:
    quoted, short = SENTENCE.split()[3 : 3 + COMMON_RUN], SENTENCE.split()[3 : 2 + COMMON_RUN]
    stored = ["Something else.", f"As he said, {' '.join(quoted)} is what matters.", f"And {' '.join(short)} too."]
    found = list(share_runs(["Not this one, which shares nothing at all with them.", SENTENCE], MemoryTexts(stored)))

    assert [(1, 1, stored[1], 1)] == [(item.query, item.row, item.text, len(item.runs)) for item in found]


def test_nothing_is_found_where_nothing_is_stored_or_asked() -> None:
    for texts, stored in (([], [SENTENCE]), ([SENTENCE], [])):
        assert {} == find_nearest(texts, MemoryTexts(stored))
        assert [] == list(share_runs(texts, MemoryTexts(stored)))
    assert [0, 0] == [len(part) for part in BandSearch(sign([SENTENCE]), NEAR).find(sign([]))]


def test_hashes_of_this_version_are_these() -> None:
    """Whoever changes what they are made of raises ``HASHES_VERSION``: stored ones must not be taken for them."""
    runs = make_hash_column([SENTENCE, "日本語の文章をここに書いておきます。"], "runs")
    signatures = sign([SENTENCE, ""])

    assert "e1661ef7836d2400" == hashlib.sha256(signatures.tobytes()).hexdigest()[:16]
    assert "fa41b1615b6392e4" == hashlib.sha256(str(runs.to_pylist()).encode()).hexdigest()[:16]
