"""What a reader takes for one name is one, in any script; what nobody sees is nothing."""

import pytest

from engine.domain.folding import fold, fold_name, is_blank


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("warm", " WARM\t"),
        ("Warm", "\u200fW\u00adar\u200bm\ufe0f\u200e"),
        ("İyi", "iyi"),
        ("Straße", "STRASSE"),
        ("ガス", "ｶﾞｽ"),
        ("don’t", "don't"),
    ],
)
def test_names_that_read_the_same_are_one(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


def test_white_space_of_a_text_and_other_letters_stay_and_what_nobody_sees_is_blank() -> None:
    blank = ["", " ", "\u200b", "\u2800", "\u3164\u200f", "\t\u00a0", "\u202e\u2066"]

    assert ("a  b\n", "é ") == (fold("A  b\n"), fold("É "))
    assert fold_name("warm") != fold_name("worm")
    assert blank == [text for text in (*blank, "a", " \u200b.", "字", "‿") if is_blank(text)]
