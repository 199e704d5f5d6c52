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
    ("outlook", "said"),
    [
        (Outlook(0.95, MANY), "Enough, by its own texts."),
        (Outlook(0.95, UNSURE), "More of the same: so few texts cannot show that they are enough."),
        (Outlook(0.6, APART), "Better seeds, "),
        (Outlook(), "Not known: a pole has fewer than 8 texts."),
    ],
)
def test_advice_says_why(outlook: Outlook, said: str) -> None:
    assert give_advice(outlook, language_known=True).startswith(said)


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (APART, "The clusters lie apart: a text is developing from -0.17, solid from +0.57, strong from +0.72."),
        (OVERLAPPING, "so no grade is given: a quarter of the positive texts lie below +0.08, and a quarter of the"),
        (UNSURE, "so they may overlap after all."),
        (Breaks(0.0, 0.0, 0.5, -0.1, (-0.2, 0.2), texts=40), "so they may lie apart after all."),
    ],
)
def test_clusters_are_told_with_their_breaks_or_why_there_are_none(breaks: Breaks, said: str) -> None:
    assert said in describe_outlook(Outlook(0.95, breaks))


def test_trait_that_was_not_measured_is_told_why_and_an_evaluation_pool_has_no_outlook() -> None:
    unknown = Separation("clarity", None, outlook=Outlook(), language_known=False)
    [row] = list_separations([unknown], [CLARITY])
    why = "the sentence encoder does not know the language"

    assert "told apart 0.90, clearly; 0 texts" in describe_separation(Separation("clarity", 0.9), "Clarity")
    assert "not measured: too few texts" in describe_separation(Separation("clarity", None), "Clarity")
    assert f"not measured: {why}; 0 texts" in describe_separation(unknown, "Clarity")
    assert (why, None) == (row.told_apart, row.clusters)
