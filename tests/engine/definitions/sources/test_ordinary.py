"""The ordinary texts of all languages are alike in kind, and few of them are drawn from all subjects."""

import pytest

from engine.definitions.sources.ordinary import (
    OrdinaryText,
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


def test_as_many_of_each_subject_are_drawn_as_can_be_and_no_more_than_there_are() -> None:
    drawn = draw_ordinary(read_ordinary("en"), len(SUBJECTS))
    texts = (OrdinaryText(1, "a", "One."), OrdinaryText(2, "a", "Two."), OrdinaryText(3, "b", "Three."))

    assert SUBJECTS == [item.subject for item in drawn]
    assert min(count_words(item.text) for item in drawn) < 20 < max(count_words(item.text) for item in drawn)
    assert (texts, (texts[0], texts[2]), ()) == (
        *(draw_ordinary(texts, count) for count in (9, 2)),
        draw_ordinary((), 3),
    )
