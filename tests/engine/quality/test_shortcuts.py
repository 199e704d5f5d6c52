"""Whatever cheaper than the whole text tells the poles apart is a shortcut."""

import random
from dataclasses import replace

import pytest
from fakes.builders import make_exemplar
from fakes.word_vectors import WordVectors

from engine.domain.model import POLES, Pole, TraitType
from engine.domain.samples import Exemplar
from engine.quality.shortcuts import Shortcut, find_shortcuts, match_lengths, measure_chance

WORDS = "page server cache key order user file link mail form table index report ticket folder".split()


def make_set(count: int = 20, **changes: str) -> list[Exemplar]:
    """Pairs of ten random words; ``changes`` is a text with ``{}`` for the words, by pole."""
    rng = random.Random(3)
    return [
        make_exemplar(changes.get(pole, "{}.").format(" ".join(rng.sample(WORDS, 10))), pole, index)
        for index in range(count)
        for pole in POLES
    ]


def find(
    made: list[Exemplar], kind: TraitType = "spectrum", text_auc: float | None = 0.9
) -> list[tuple[str, str, str]]:
    found = find_shortcuts("clarity", kind, made, text_auc, WordVectors())
    return [(item.kind, item.what, item.pole) for item in found]


def test_set_of_random_words_has_no_shortcut() -> None:
    assert [] == find(make_set())


def test_length_that_tells_the_poles_apart_is_one() -> None:
    made = make_set(positive="{} and then some more words of the same kind again.")

    assert ("length", "words", "positive") in find(made)


def test_opening_that_tells_the_poles_apart_is_one() -> None:
    assert ("opening", "perhaps", "negative") in find(make_set(negative="Perhaps {}."))


def make_opened(count: int, **opened: int) -> list[Exemplar]:
    """``count`` pairs of which so many texts of a pole open with the same word."""
    made = make_set(count, positive="Page {}.", negative="Page {}.")
    texts = ["Perhaps {}" if index // 2 < opened[item.pole] else "{}" for index, item in enumerate(made)]
    # Each other text opens with a word of its own.
    return [
        replace(item, text=text.format(f"W{index} {item.text}") if text == "{}" else text.format(item.text))
        for index, (item, text) in enumerate(zip(made, texts, strict=True))
    ]


@pytest.mark.parametrize(
    ("count", "positive", "negative", "found"),
    [
        (8, 8, 0, True),
        (8, 5, 0, True),
        (8, 0, 5, True),
        (8, 7, 1, True),
        (8, 4, 0, False),
        (8, 6, 1, False),
        (8, 8, 4, False),
        (8, 3, 3, False),
        (20, 11, 0, True),
        (20, 11, 2, False),
        (40, 20, 0, True),
        (40, 15, 0, False),
    ],
)
@pytest.mark.parametrize("text_auc", [0.7, 1.0])
def test_opening_of_most_texts_of_one_pole_is_one(
    count: int, positive: int, negative: int, found: bool, text_auc: float
) -> None:
    made = make_opened(count, positive=positive, negative=negative)
    openings = [item for item in find(made, text_auc=text_auc) if item[0] == "opening"]

    assert ([("opening", "perhaps", "positive" if positive > negative else "negative")] if found else []) == openings


@pytest.mark.parametrize(
    ("positive", "negative", "chance"), [(5, 0, 0.0256), (4, 0, 0.0769), (7, 1, 0.0101), (6, 1, 0.0406), (3, 3, 1.0)]
)
def test_chance_of_an_opening_is_that_of_the_exact_test(positive: int, negative: int, chance: float) -> None:
    """The values are those of ``scipy.stats.fisher_exact`` 1.18."""
    found = measure_chance({"positive": positive, "negative": negative}, {"positive": 8, "negative": 8})

    assert chance == round(found, 4)


def test_word_and_mark_that_tell_the_poles_apart_are_ones() -> None:
    found = find(make_set(negative="{} accordingly!"))

    assert ("word", "accordingly", "negative") in found
    assert ("punctuation", "exclamation marks", "negative") in found


def test_subjects_that_differ_by_pole_are_one() -> None:
    names = {"positive": "keys and locks", "negative": "bread and butter"}
    made = make_set()
    apart = [replace(item, scenario=replace(item.scenario, subject=names[item.pole])) for item in made]

    assert ("subject", "subjects", "positive") in find(apart)
    assert [] == find(made)


@pytest.mark.parametrize("kind", ["topic", "claim"])
def test_words_of_a_matter_are_no_shortcut_to_it(kind: TraitType) -> None:
    assert not [item for item in find(make_set(negative="{} accordingly."), kind) if item[0] == "word"]


def test_half_as_telling_a_word_is_none() -> None:
    plain, marked = make_set(), make_set(negative="{} accordingly.")
    mixed = [marked[index] if index % 8 == 1 else item for index, item in enumerate(plain)]

    assert [] == find(mixed)


def test_weaker_feature_counts_where_the_whole_text_does_no_better() -> None:
    made = make_set()
    longer = [
        make_exemplar(f"{item.text} And more.", item.pole, index // 2)
        if item.pole == "positive" and index % 4 == 0
        else item
        for index, item in enumerate(made)
    ]

    assert [] == find(longer, text_auc=0.95)
    assert ("length", "words", "positive") in find(longer, text_auc=0.7)


def test_nothing_is_said_of_too_few_texts() -> None:
    assert [] == find(make_set(negative="Perhaps {}."), text_auc=None)


@pytest.mark.parametrize(
    ("shortcut", "text", "marked"),
    [
        (Shortcut("t", "word", "maybe", "negative", 0.9), "Well, maybe so.", True),
        (Shortcut("t", "word", "maybe", "negative", 0.9), "Well, so it is.", False),
        (Shortcut("t", "opening", "maybe", "negative", 0.9), "Maybe so.", True),
        (Shortcut("t", "opening", "maybe", "negative", 0.9), "Well, maybe so.", False),
        (Shortcut("t", "length", "words", "negative", 0.9, (4, 6)), "Three words only.", True),
        (Shortcut("t", "length", "words", "negative", 0.9, (4, 6)), "Four words it has.", False),
        (Shortcut("t", "punctuation", "commas", "negative", 0.9), "No, none, never.", False),
    ],
)
def test_text_carries_a_shortcut_or_not(shortcut: Shortcut, text: str, marked: bool) -> None:
    assert marked == shortcut.appears_in(text)


def test_matched_lengths_are_what_both_poles_have() -> None:
    def texts(pole: Pole, *counts: int) -> list[Exemplar]:
        return [make_exemplar("word " * count, pole, index) for index, count in enumerate(counts)]

    assert (12, 16) == match_lengths([*texts("positive", 10, 12, 14, 16, 18), *texts("negative", 8, 12, 16, 20, 24)])
    assert (10, 30) == match_lengths([*texts("positive", 30, 30, 30), *texts("negative", 10, 10, 10)])


def test_shortcut_is_said_in_a_sentence_with_the_label() -> None:
    said = Shortcut("clarity", "opening", "perhaps", "negative", 0.9).describe("Obscure")

    assert "clarity: the first word alone tells the poles apart: 'perhaps' at 'Obscure' (AUC 0.90)" == said


def test_without_an_encoder_subjects_and_weak_features_are_no_shortcuts() -> None:
    made = make_set(negative="Perhaps {}.")

    assert [("opening", "perhaps", "negative")] == [
        (item.kind, item.what, item.pole)
        for item in find_shortcuts("clarity", "spectrum", made, None, None)
        if item.kind in ("opening", "subject")
    ]
    assert () == find_shortcuts("clarity", "spectrum", [item for item in made if item.pole == "positive"], None, None)
