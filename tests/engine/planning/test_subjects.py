"""Subjects are found in a model's own words."""

import pytest

from engine.domain.model import Brief
from engine.planning.subjects import MAX_SUBJECT_WORDS, list_shared_words, name_subjects, read_domains


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
    ("domain", "phrases"),
    [
        ((), []),
        (("Letters from town halls, tax offices, schools.",), ["letters from town halls", "tax offices"]),
        (
            ("Travel: hotel bookings; train tickets and lost luggage",),
            ["hotel bookings", "train tickets", "lost luggage"],
        ),
        (("tax offices, tax offices", "tax offices"), ["tax offices"]),
        (("One word, a phrase that is far too long to be a subject",), ["one word"]),
    ],
)
def test_short_phrases_of_the_domain_are_subjects(domain: tuple[str, ...], phrases: list[str]) -> None:
    assert phrases == read_domains(Brief(domain=domain))


def test_phrase_of_the_domain_has_from_two_words_to_the_limit() -> None:
    texts = tuple(" ".join(["word"] * count) for count in range(1, 9))

    assert list(range(2, MAX_SUBJECT_WORDS + 1)) == [len(text.split()) for text in read_domains(Brief(domain=texts))]


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
