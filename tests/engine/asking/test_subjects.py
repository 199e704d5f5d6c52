"""Subjects are found in texts."""

import pytest

from engine.asking.subjects import list_shared_words, name_subjects


@pytest.mark.parametrize(
    ("texts", "subjects"),
    [
        (
            ["The report is written to the archive server.", "The report is written to the finance team."],
            ["archive server", "finance team"],
        ),
        (["Close the ticket.", "", "It is what it is.", "Close the ticket."], ["close", "", "It is what it", "close"]),
        (["Rotate API keys"], ["rotate API keys"]),
    ],
)
def test_subject_is_the_run_of_words_that_tells_a_text_from_the_others(texts: list[str], subjects: list[str]) -> None:
    assert subjects == name_subjects(texts)


@pytest.mark.parametrize(
    ("words", "texts", "shared"),
    [
        (["commit", "diff"], ["A commit and its diff."], 2),
        (["commit", "diff"], ["Commits, commits, COMMIT."], 1),
        (["commit"], ["Nothing of that kind."], 0),
        (["process"], ["The processes."], 0),
    ],
)
def test_different_words_in_common_are_counted(words: list[str], texts: list[str], shared: int) -> None:
    assert shared == len(list_shared_words(words, texts))
