"""What an author types becomes a trait: in any language, and whatever the terminal lets through."""

import pytest

from engine.authoring.answers import EXAMPLE, Answers, PoleAnswer, clean_answer, make_key, read_pole, read_trait
from engine.definitions.schema import TraitEntry


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Warmth", "warmth"),
        ("Explains why", "explains_why"),
        ("Größe & Art", "grosse_art"),
        ("Élan vital", "elan_vital"),
        ("  C++  ", "c"),
        ("丁寧さ", "trait"),
        ("विनम्रता", "trait"),
        ("AI に関する", "ai"),
        ("Content", "content_trait"),
        ("Source URL", "source_url_trait"),
        ("x" * 300, "x" * 100),
        ("null", "null"),
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
        ("विनम्र: धन्यवाद देता है", "विनम्र", "धन्यवाद देता है"),
        ("Nicht ganz freundlich genug : na ja!", "Nicht ganz freundlich genug", "Na ja!"),
        ("At 10:30", "At 10", "30"),
    ],
)
def test_pole_is_a_label_with_what_stands_behind_the_colon(typed: str, label: str, paraphrase: str) -> None:
    assert PoleAnswer(label, paraphrase) == read_pole(typed)


@pytest.mark.parametrize("typed", ["", ": thanks", "\u200b: thanks", "It thanks the customer and helps", "x" * 41])
def test_pole_without_a_label_is_asked_again(typed: str) -> None:
    with pytest.raises(ValueError, match=r"^Begin with a word or two"):
        read_pole(typed)
    with pytest.raises(ValueError, match=r"^Begin with a word or two"):
        read_trait(typed)


def test_both_ends_cannot_have_one_label() -> None:
    with pytest.raises(ValueError, match=r"^'Warm' is the other end already$"):
        read_pole("Ｗarm\u200b: hugs", PoleAnswer("Warm"))


@pytest.mark.parametrize("typed", ["5", "0.5: none", "１", "٣"])
def test_number_is_no_label(typed: str) -> None:
    with pytest.raises(ValueError, match=r" would read as a quality\. Say in a word or two"):
        read_pole(typed)


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("  a \t b ", "a b"),
        ("a\x00\x1b[31mb\x7f", "a [31mb"),
        ("é", "é"),
        ("क्‍ष", "क्‍ष"),
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
