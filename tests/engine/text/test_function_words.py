"""What says what a text is about is told from what builds it, in each language."""

from engine.text.function_words import list_content_words, list_function_words

JAPANESE = "設定画面で言語を変更すると、すべてのメニューが日本語で表示されます。"


def test_content_words_are_those_of_their_language() -> None:
    german = ["Die Gärtnerin und der Müller gehen über die Brücke"]
    assert ["gärtnerin", "müller", "brücke"] == [word for word in list_content_words(german, "de") if word != "gehen"]
    assert "die" in list_content_words(german)
    assert {"言語", "設定"} <= set(list_content_words([JAPANESE], "ja"))
    assert frozenset() == list_function_words("tlh")
