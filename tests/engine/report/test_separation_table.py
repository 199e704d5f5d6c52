"""What a reader is told of a trait before he trains on it."""

import pytest

from engine.quality.breaks import Breaks, find_breaks
from engine.quality.outlook import Outlook
from engine.report.separation_table import (
    Separation,
    describe_outlook,
    describe_separation,
    give_advice,
    list_separations,
)
from engine.report.wording import TraitWords

APART = find_breaks([0.5, 0.6, 0.7, 0.8] * 2, [-0.4, -0.3, -0.2, -0.1] * 2)
OVERLAPPING = find_breaks([0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3])
MANY = Breaks(-0.17, 0.57, 0.72, 0.74, (0.6, 0.88), texts=40)
UNSURE = Breaks(0.0, 0.1, 0.5, 0.1, (-0.2, 0.2), texts=40)
CLARITY = TraitWords("clarity", "Clarity", {"positive": "Clear", "negative": "Obscure"})


@pytest.mark.parametrize(
    ("outlook", "language_known", "said"),
    [
        (Outlook(0.95, MANY), True, "Enough, by its own texts."),
        (
            Outlook(0.95, UNSURE),
            True,
            "More of the same: so few texts cannot show that they are enough. Run once more at the same effort.",
        ),
        (
            Outlook(0.6, APART),
            True,
            "Better seeds, or a clearer description where there are none: the poles hardly differ, and more of the "
            "same would leave them so.",
        ),
        (
            Outlook(0.75, MANY),
            True,
            "Better seeds, or a clearer description where there are none: more of the same would hardly help.",
        ),
        (Outlook(), True, "Not known: a pole has fewer than 8 texts. Run once more, or at a higher effort."),
        (Outlook(), False, "Not known: the sentence encoder does not know the language."),
    ],
)
def test_advice_says_why(outlook: Outlook, language_known: bool, said: str) -> None:
    assert said == give_advice(outlook, language_known)


def test_clusters_that_lie_apart_are_told_with_their_breaks() -> None:
    said = describe_outlook(Outlook(0.95, APART))
    assert said.startswith(
        "The clusters lie apart: a text is developing from -0.17, solid from +0.57, strong from +0.72."
    )
    assert said.endswith(" in 9 cases of 10 from +0.60 to +0.88.")


def test_clusters_that_overlap_get_no_grade_and_few_texts_are_said_to_be_a_guess() -> None:
    said = describe_outlook(Outlook(0.75, OVERLAPPING))
    assert (
        "The clusters overlap, so no grade is given: a quarter of the positive texts lie below +0.08, and a quarter "
        "of the negative ones above +0.23. The gap between them is -0.15, "
    ) in said
    assert said.endswith(": with 4 texts a pole that is a guess.")


@pytest.mark.parametrize(
    ("gap", "said"),
    [(0.1, "so they may overlap after all."), (-0.1, "so they may lie apart after all.")],
)
def test_gap_that_may_be_none_or_one_is_said_to_be_unsure(gap: float, said: str) -> None:
    breaks = Breaks(0.0, max(gap, 0.0), 0.5, gap, (-0.2, 0.2), texts=40)
    assert describe_outlook(Outlook(0.8, breaks)).endswith(said)


def test_score_that_rounds_to_nothing_has_no_sign() -> None:
    breaks = Breaks(-0.001, 0.1, 0.5, 0.101, (0.004, 0.2), texts=40)
    said = describe_outlook(Outlook(0.9, breaks))
    assert "a text is developing from 0, solid from +0.10" in said
    assert "from 0 to +0.20." in said


def test_trait_that_was_not_measured_is_told_why_and_an_evaluation_pool_has_no_outlook() -> None:
    unknown = Separation("clarity", None, outlook=Outlook(), language_known=False)
    assert "Clarity: told apart 0.90, clearly; 0 texts like the other pole; 0 shortcuts" == describe_separation(
        Separation("clarity", 0.9), "Clarity"
    )
    assert "not measured: too few texts" in describe_separation(Separation("clarity", None), "Clarity")
    assert (
        "Clarity: told apart not measured: the sentence encoder does not know the language; 0 texts like the other "
        "pole; 0 shortcuts. Not known: the sentence encoder does not know the language."
    ) == describe_separation(unknown, "Clarity")
    [row] = list_separations([unknown], [CLARITY])
    assert ("the sentence encoder does not know the language", None) == (row.told_apart, row.clusters)
