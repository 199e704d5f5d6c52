"""Whatever cheaper than the whole text tells the poles apart is a shortcut."""

import random
from dataclasses import replace

import pytest
from fakes.builders import make_exemplar
from fakes.word_vectors import WordVectors

from engine.choosing.shortcuts import Shortcut, find_shortcuts, match_lengths, measure_chance
from engine.domain.definition import Pole, TraitType
from engine.domain.model import POLES
from engine.domain.samples import Exemplar

WORDS = "page server cache key order user file link mail form table index report ticket folder".split()


def make_set(count: int = 20, positive: str = "{}.", negative: str = "{}.") -> list[Exemplar]:
    """Pairs of texts with ``{}`` for ten random words."""
    rng, forms = random.Random(3), {"positive": positive, "negative": negative}
    return [
        make_exemplar(forms[pole].format(" ".join(rng.sample(WORDS, 10))), pole, index)
        for index in range(count)
        for pole in POLES
    ]


def find(
    made: list[Exemplar], kind: TraitType = "spectrum", text_auc: float | None = 0.9
) -> list[tuple[str, str, str]]:
    found = find_shortcuts("clarity", kind, made, text_auc, WordVectors())
    return [(item.kind, item.what, item.pole) for item in found]


@pytest.mark.parametrize(
    ("positive", "negative", "found"),
    [
        ("{}.", "{}.", []),
        ("{} and then some more words of the same kind again.", "{}.", ["length words", "word again"]),
        ("{}.", "Perhaps {}.", ["opening perhaps", "word perhaps"]),
        ("{}.", "{} accordingly!", ["punctuation exclamation marks", "word accordingly"]),
        ("{}; well: then, so.", "{}.", ["punctuation commas and semicolons"]),
        ("({}) 12 ABC?", "{}.", ["punctuation digits", "punctuation capitals", "punctuation question marks"]),
    ],
    ids=["nothing", "length", "opening", "word and mark", "commas", "digits and capitals"],
)
def test_feature_that_tells_the_poles_apart_is_a_shortcut(positive: str, negative: str, found: list[str]) -> None:
    shortcuts = find(make_set(positive=positive, negative=negative))

    assert set(found) <= {f"{kind} {what}" for kind, what, _ in shortcuts}
    assert bool(found) == bool(shortcuts)
    assert {"negative" if positive == "{}." else "positive"} >= {pole for _, _, pole in shortcuts}


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
        (8, 5, 0, True),
        (8, 0, 5, True),
        (8, 7, 1, True),
        (8, 4, 0, False),
        (8, 6, 1, False),
        (20, 11, 0, True),
        (20, 11, 2, False),
        (40, 19, 0, False),
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


def test_subjects_that_differ_by_pole_are_one() -> None:
    names = {"positive": "keys and locks", "negative": "bread and butter"}
    made = make_set()
    apart = [replace(item, scenario=replace(item.scenario, subject=names[item.pole])) for item in made]

    assert ("subject", "subjects", "positive") in find(apart)
    assert [] == find(made)


@pytest.mark.parametrize("kind", ["topic", "claim"])
def test_words_and_subjects_of_a_matter_are_no_shortcut_to_it(kind: TraitType) -> None:
    made = make_set(negative="{} accordingly.")
    apart = [replace(item, scenario=replace(item.scenario, subject=item.pole)) for item in made]

    assert {"word", "subject"} <= {item[0] for item in find(apart)}
    assert not {"word", "subject"} & {item[0] for item in find(apart, kind)}


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
    assert (shortcut.kind in ("length", "opening", "word")) == shortcut.is_in_single_texts
    assert shortcut.describe("Obscure").endswith("(AUC 0.90)")


def test_matched_lengths_are_what_both_poles_have() -> None:
    def texts(pole: Pole, *counts: int) -> list[Exemplar]:
        return [make_exemplar("word " * count, pole, index) for index, count in enumerate(counts)]

    assert (12, 16) == match_lengths([*texts("positive", 10, 12, 14, 16, 18), *texts("negative", 8, 12, 16, 20, 24)])
    assert (10, 30) == match_lengths([*texts("positive", 30, 30, 30), *texts("negative", 10, 10, 10)])


def test_few_texts_have_none_and_without_an_encoder_subjects_and_weak_features_are_none() -> None:
    made = make_set(negative="Perhaps {}.")
    unread = find_shortcuts("clarity", "spectrum", made, None, None)

    assert [("opening", "perhaps")] == [
        (item.kind, item.what) for item in unread if item.kind in ("opening", "subject")
    ]
    assert [] == find(made, text_auc=None)
    assert () == find_shortcuts("clarity", "spectrum", [item for item in made if item.pole == "positive"], 0.9, None)
    assert [] == find(made[:6])
    assert [] != find(make_set(4, negative="Perhaps {}."))
