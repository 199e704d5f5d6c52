"""Tests the splitting, counting and comparing of words in all kinds of scripts."""

import pytest

from engine.domain.characters import is_blank
from engine.text.words import (
    count_words,
    ends_sentence,
    fold,
    fold_name,
    list_content_words,
    list_function_words,
    normalise,
    split_words,
    take_opening,
    word_runs,
)

JAPANESE = "設定画面で言語を変更すると、すべてのメニューが日本語で表示されます。"
CHINESE = "您可以在设置页面更改语言。"
THAI = "คุณสามารถเปลี่ยนภาษาได้ในหน้าตั้งค่า"
HINDI = "सेटिंग में जाकर आप भाषा बदल सकते हैं।"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't use the e-mail_client at 10:30!", ["don't", "use", "the", "e-mail", "client", "at", "10", "30"]),
        ("เปลี่ยนภาษา", ["เปลี่ยน", "ภาษา"]),
        ("在Wi-Fi设置", ["在", "wi", "fi", "设置"]),
    ],
)
def test_words_keep_their_marks_in_every_script(text: str, words: list[str]) -> None:
    assert words == split_words(text)


def test_words_are_counted_as_a_reader_counts_them() -> None:
    # A number or a mark among runs without spaces counts as a run.
    assert [8, 9, 5] == [count_words(text) for text in (CHINESE, THAI, "設定 — 画面 12 OK")]


def test_words_that_differ_in_a_combining_mark_alone_are_different() -> None:
    # Without their vowel signs all three are "सट ग".
    assert 3 == len({normalise(word) for word in ("सेटिंग", "सोटिंग", "सेटांग")})


def test_what_is_not_seen_does_not_count() -> None:
    assert normalise("The water is cold.") == normalise("The wa\u200bter is\u200f co\u00adld.")


def test_sentences_end_in_the_marks_of_all_scripts_and_a_text_that_breaks_off_does_not() -> None:
    ended = [
        "Done.",
        "He said “done”",
        "(see below)",
        "hun sagde »ja.«",
        "本当？」",
        "हो गया।",
        "Τι κάνεις;",
        "Done.\u200f",
    ]
    broken = ["and then the", "設定画面で", "हो गया", "no;", "Fertig –", ""]

    assert ended == [text for text in (*ended, *broken) if ends_sentence(text)]


def test_an_opening_is_the_first_words_as_they_are_written() -> None:
    assert "Well, that is" == take_opening("Well, that is it.", 3)
    assert "設定画面で" == take_opening(JAPANESE, 3)
    assert "सेटिंग में जाकर" == take_opening(HINDI, 3)


def test_runs_of_words_are_found_without_spaces() -> None:
    assert word_runs(JAPANESE, 8) & word_runs(f"なお、{JAPANESE}", 8)
    assert not word_runs(JAPANESE, 8) & word_runs(CHINESE, 8)


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


def test_content_words_are_those_of_their_language() -> None:
    german = ["Die Gärtnerin und der Müller gehen über die Brücke"]
    assert ["gärtnerin", "müller", "brücke"] == [word for word in list_content_words(german, "de") if word != "gehen"]
    assert "die" in list_content_words(german)
    assert {"言語", "設定"} <= set(list_content_words([JAPANESE], "ja"))
    assert frozenset() == list_function_words("tlh")
