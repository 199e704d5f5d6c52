"""What an author types becomes a trait: in any language, and whatever the terminal lets through."""

import pytest

from engine.authoring.answers import PoleAnswer, clean_answer, make_key, read_pole, read_trait
from engine.domain.definition import Trait


def test_key_has_of_a_name_what_a_key_may_have() -> None:
    keys = {
        "Explains why": "explains_why",
        "Größe & Élan": "grosse_elan",
        "丁寧さ": "trait",
        "Content": "content_trait",
        "x" * 101: "x" * 100,
    }

    assert keys == {name: make_key(name) for name in keys}
    for key in keys.values():
        assert key == Trait("spectrum", key).key


def test_pole_is_a_label_with_what_stands_behind_the_colon() -> None:
    for typed, label, paraphrase in (
        ("Warm: thanks, and offers help", "Warm", "Thanks, and offers help."),
        ("丁寧：お礼を言う", "丁寧", "お礼を言う"),
        ("x" * 40, "x" * 40, ""),
    ):
        assert PoleAnswer(label, paraphrase) == read_pole(typed)
        assert (label, paraphrase) == read_trait(typed)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("\u200b: thanks", "Begin with a word or two"),
        ("x" * 41, "Begin with a word or two"),
        ("Ｗarm\u200b: hugs", "'Warm' is the other end already"),
        ("W\u0430rm: hugs", "'Warm' is the other end already"),
        ("٣", "٣ would read as a quality"),
    ],
)
def test_pole_without_a_label_of_its_own_in_words_is_asked_again(typed: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        read_pole(typed, PoleAnswer("Warm"))


def test_answer_is_cleaned_of_what_no_file_may_hold() -> None:
    typed = ("  a \t b ", "a\x00\x1b[31mb\x7f", "e\u0301", "👩‍💻", "\ufeffa")

    assert ["a b", "a [31mb", "\u00e9", "👩‍💻", "a"] == [clean_answer(text) for text in typed]
    with pytest.raises(UnicodeError):
        clean_answer("caf\udce9")
