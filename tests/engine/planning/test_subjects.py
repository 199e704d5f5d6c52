"""Subjects are found in a model's own words."""

import pytest

from engine.domain.model import Brief
from engine.planning.subjects import MAX_SUBJECT_WORDS, list_shared_words, name_subjects, read_domains


def test_subject_is_the_run_of_words_that_tells_a_text_from_the_others() -> None:
    texts = [
        "The nightly backup is written to the archive server before six.",
        "The nightly report is written to the finance team before six.",
        "The nightly lottery is written to the village hall before six.",
    ]

    assert ["archive server", "finance team", "village hall"] == name_subjects(texts)


def test_every_text_has_its_own_subject_in_order() -> None:
    texts = ["Rotate the signing key.", "Close the support ticket.", "", "It is what it is.", "Rotate the signing key."]
    subjects = name_subjects(texts)

    assert len(texts) == len(subjects)
    assert subjects[0] == subjects[4]
    assert "" == subjects[2]
    assert "It is what it" == subjects[3]


def test_subject_has_three_words_at_most_and_crosses_no_punctuation() -> None:
    (long,) = name_subjects(["Enterprise customer database migration tooling"])
    subjects = name_subjects(["Printer, toner", "Printer, paper"])

    assert "enterprise customer database" == long
    assert ["toner", "paper"] == subjects


def test_abbreviation_keeps_its_capitals_and_other_words_lose_theirs() -> None:
    assert ["rotate API keys"] == name_subjects(["Rotate API keys"])


def test_numbers_are_no_subject() -> None:
    assert ["invoice"] == name_subjects(["2024 88 invoice 7"])


def test_naming_subjects_is_a_pure_function() -> None:
    texts = [f"Text number {number} deals with matter {number * 7}." for number in range(20)]

    assert name_subjects(texts) == name_subjects(texts)


@pytest.mark.parametrize(
    ("domain", "phrases"),
    [
        ((), []),
        (("Letters from town halls, tax offices, schools.",), ["letters from town halls", "tax offices"]),
        (
            ("Travel: hotel bookings; train tickets and lost luggage",),
            ["hotel bookings", "train tickets", "lost luggage"],
        ),
        (("API references, SDK guides",), ["API references", "SDK guides"]),
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
        (["commits"], ["One commit."], 1),
        (["commit", "commit"], ["One commit."], 1),
        (["commit"], ["Nothing of that kind."], 0),
        (["process"], ["The processes."], 0),
        (["class"], ["The clas."], 0),
        (["commit"], [], 0),
        ([], ["A commit."], 0),
    ],
)
def test_different_words_in_common_are_counted(words: list[str], texts: list[str], shared: int) -> None:
    assert shared == len(list_shared_words(words, texts))
