"""The ordinary texts of all languages are alike in kind, and few of them are drawn from all subjects."""

import pytest

from engine.definitions.sources.ordinary import (
    draw_ordinary,
    list_noise_languages,
    read_ordinary,
)
from engine.text.language import detect_language
from engine.text.near_duplicates import find_pairs
from engine.text.words import count_words, ends_sentence

LANGUAGES = list_noise_languages()
SUBJECTS = list(dict.fromkeys(item.subject for item in read_ordinary("en")))


@pytest.mark.parametrize("code", LANGUAGES)
def test_texts_are_in_their_language_two_a_subject_and_of_several_lengths(code: str) -> None:
    assert {"en", "de", "hi", "ja"} <= set(LANGUAGES)
    texts = read_ordinary(code)
    words = [count_words(item.text) for item in texts]

    assert [subject for subject in SUBJECTS for _ in range(2)] == [item.subject for item in texts]
    assert code == detect_language([item.text for item in texts])
    assert all(ends_sentence(item.text) for item in texts)
    assert [] == find_pairs((str(item.line), item.text) for item in texts)
    assert min(words) < 15
    assert max(words) > 25
    assert sorted({item.line for item in texts}) == [item.line for item in texts]


def test_one_of_each_subject_is_drawn_but_for_those_left_out() -> None:
    drawn = draw_ordinary(read_ordinary("en"), SUBJECTS[:2])

    assert SUBJECTS[2:] == [item.subject for item in drawn]
    assert min(count_words(item.text) for item in drawn) < 20 < max(count_words(item.text) for item in drawn)
