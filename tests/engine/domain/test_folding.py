"""What a reader takes for one name is one, in any script; what nobody sees is nothing."""

import pytest

from engine.domain.folding import fold, fold_name, is_blank


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("warm", " WARM\t"),
        ("Warm words", "Ｗａｒｍ  words"),
        ("Warm", "\u200fW\u00adar\u200bm\ufe0f\u200e"),
        ("İyi", "iyi"),
        ("Straße", "STRASSE"),
        ("δρόμος", "ΔΡΌΜΟΣ"),
        ("ガス", "ｶﾞｽ"),
        ("é", "e\u0301"),
        ("don’t", "don't"),
    ],
)
def test_names_that_read_the_same_are_one(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


def test_white_space_of_a_text_and_other_letters_stay() -> None:
    assert ("a  b\n", "é ") == (fold("A  b\n"), fold("É "))
    assert fold_name("warm") != fold_name("worm")


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        *((text, True) for text in ("", " ", "\u200b", "\u2800", "\u3164\u200f", "\t\u00a0", "\u202e\u2066")),
        *((text, False) for text in ("a", " \u200b.", "字", "‿")),
    ],
)
def test_text_of_which_nothing_is_seen_is_blank(text: str, blank: bool) -> None:
    assert blank == is_blank(text)
