"""What an author types becomes a trait: in any language, and whatever the terminal lets through."""

import pytest

from engine.authoring.answers import EXAMPLE, Answers, PoleAnswer, clean_answer, make_key, read_pole, read_trait
from engine.definitions.schema import TraitEntry


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Explains why", "explains_why"),
        ("Größe & Élan", "grosse_elan"),
        ("  C++  ", "c"),
        ("丁寧さ", "trait"),
        ("AI に関する", "ai"),
        ("Content", "content_trait"),
        ("Source URL", "source_url_trait"),
        ("x" * 101, "x" * 100),
        ("x" * 99 + " y", "x" * 99),
    ],
)
def test_key_has_of_a_name_what_a_key_may_have(name: str, key: str) -> None:
    assert key == make_key(name)
    assert key == TraitEntry.model_validate({"type": "spectrum", "key": key}).key


@pytest.mark.parametrize(
    ("typed", "label", "paraphrase"),
    [
        ("Warm", "Warm", ""),
        ("Warm: thanks, and offers help", "Warm", "Thanks, and offers help."),
        ("丁寧：お礼を言う", "丁寧", "お礼を言う"),
        ("Nicht ganz freundlich genug : na ja!", "Nicht ganz freundlich genug", "Na ja!"),
        ("At 10:30", "At 10", "30"),
        ("x" * 40, "x" * 40, ""),
    ],
)
def test_pole_is_a_label_with_what_stands_behind_the_colon(typed: str, label: str, paraphrase: str) -> None:
    assert PoleAnswer(label, paraphrase) == read_pole(typed)
    assert (label, paraphrase) == read_trait(typed)


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("", "Begin with a word or two"),
        ("\u200b: thanks", "Begin with a word or two"),
        ("It thanks the customer kindly", "Begin with a word or two"),
        ("x" * 41, "Begin with a word or two"),
        ("Ｗarm\u200b: hugs", "'Warm' is the other end already"),
        ("0.5: none", "0.5 would read as a quality"),
        ("٣", "٣ would read as a quality"),
    ],
)
def test_pole_without_a_label_of_its_own_in_words_is_asked_again(typed: str, asked: str) -> None:
    with pytest.raises(ValueError, match=f"^{asked}"):
        read_pole(typed, PoleAnswer("Warm"))


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("  a \t b ", "a b"),
        ("a\x00\x1b[31mb\x7f", "a [31mb"),
        ("e\u0301", "\u00e9"),
        ("👩‍💻", "👩‍💻"),
        ("\ufeffa", "a"),
    ],
)
def test_answer_is_cleaned_of_what_no_file_may_hold(typed: str, clean: str) -> None:
    assert clean == clean_answer(typed)


def test_bytes_that_are_no_characters_are_asked_again() -> None:
    with pytest.raises(ValueError, match="no characters"):
        clean_answer("caf\udce9")


def test_description_is_the_question_or_what_the_poles_are() -> None:
    answers = Answers("Mails", "Warmth", PoleAnswer("Warm", "Thanks people."), PoleAnswer("Cold"))

    assert "Warm: Thanks people; Cold." == answers.description
    assert "Mails: Warmth" == answers.summary
    assert EXAMPLE.question == EXAMPLE.description
