"""Words what the review found of how a trait's poles can be told apart, for the report's table and the run page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.quality.breaks import Breaks
from engine.quality.outlook import CLEARLY_AUC, PARTLY_AUC, Advice, Outlook
from engine.report.wording import TraitWords
from engine.text.formatting import count_noun

NOTHING = "–"

MEANINGS = (
    (
        "Told apart",
        "A probe learns the poles from most of the kept texts and guesses them for the rest: the share of pairs of a "
        "positive and a negative text that it gets the right way round (AUC). 1 is all, .5 is chance; from .85 on the "
        "poles differ clearly, below .7 read both columns before you train.",
    ),
    (
        "Read like the other pole",
        "Kept texts that the probe places clearly on the other pole's side. None is good; the table below marks them: "
        "read them, and leave out of training what has the wrong label.",
    ),
    (
        "Shortcuts",
        "What tells the poles apart without reading, such as a length or one word. None is good; a scorer would learn "
        "it in place of the trait.",
    ),
    (
        "In-context judge",
        "How well the synth model itself, shown some seeds with their labels, tells others apart (AUC, as above). It "
        "has a say in what is chosen by as much as it tells. A dash: it was not asked, or was shown so many seeds that "
        "none were left to measure it on.",
    ),
)
GRADE_MEANING = (
    "What twice as many texts would bring by the learning curve, with its standard error, and where the two "
    "clusters lie on the axis that the probe fits, 0 being the middle: a text is developing, solid or strong from "
    "the three breaks on. Where the clusters overlap no grade is given. All of it is measured on the set's own "
    "texts, each on an axis that has not seen it: real texts are harder."
)

_ADVICE: Mapping[Advice, str] = {
    "enough": "Enough.",
    "more of the same": "More of the same: run once more at the same effort.",
    "better seeds": "Better seeds, or a clearer description where there are none: more of the same would not help.",
    "unknown": "Not known: there are too few texts, or the sentence encoder does not know the language.",
}


@dataclass(frozen=True, slots=True)
class Separation:
    """How one trait's poles can be told apart.

    Args:
        probe_auc: in [0, 1]; None if there are too few texts.
        wrong_side: the row ids of kept exemplars on the other pole's side.
        shortcuts: clauses.
        judge_auc: in [0, 1]; None if the in-context judge was not measured.
        outlook: None for texts that nothing is trained on.
    """

    trait: str
    probe_auc: float | None
    wrong_side: tuple[int, ...] = ()
    shortcuts: tuple[str, ...] = ()
    judge_auc: float | None = None
    outlook: Outlook | None = None


@dataclass(frozen=True, slots=True)
class SeparationRow:
    """One row of the table; ``outlook`` stands below it, and is empty for texts that nothing is trained on."""

    trait: TraitWords
    told_apart: str
    wrong_side: int
    shortcuts: tuple[str, ...]
    judge: str
    outlook: str


def list_separations(separations: Sequence[Separation], traits: Sequence[TraitWords]) -> tuple[SeparationRow, ...]:
    """Makes a row for each trait."""
    by_key = {trait.key: trait for trait in traits}
    return tuple(
        SeparationRow(
            by_key[item.trait],
            format_auc(item.probe_auc, "too few texts"),
            len(item.wrong_side),
            item.shortcuts,
            format_auc(item.judge_auc, NOTHING),
            describe_outlook(item.outlook) if item.outlook else "",
        )
        for item in separations
        if item.trait in by_key
    )


def format_auc(auc: float | None, nothing: str) -> str:
    """Formats an AUC with a word on how good it is: “0.93, clearly”."""
    if auc is None:
        return nothing
    return f"{auc:.2f}, {'clearly' if auc >= CLEARLY_AUC else 'partly' if auc >= PARTLY_AUC else 'hardly'}"


def describe_separation(separation: Separation, name: str) -> str:
    """Describes one trait's separation in a line, for the run page."""
    found = [
        f"told apart {format_auc(separation.probe_auc, 'not measured: too few texts')}",
        f"{count_noun(len(separation.wrong_side), 'text')} like the other pole",
        f"{count_noun(len(separation.shortcuts), 'shortcut')}",
    ]
    outlook = f". {describe_outlook(separation.outlook)}" if separation.outlook else ""
    return f"{name}: {'; '.join(found)}{outlook}"


def describe_outlook(outlook: Outlook) -> str:
    """Says what would help most, what twice as many texts would bring, and where the clusters lie."""
    sentences = [_ADVICE[outlook.advice]]
    if outlook.curve:
        gain = f"{outlook.curve.gain:+.3f}, give or take {outlook.curve.gain_error:.3f}"
        sentences.append(f"Twice as many texts would change the AUC by {gain}.")
    if outlook.breaks:
        sentences.append(_describe_breaks(outlook.breaks))
    return " ".join(sentences)


def _describe_breaks(breaks: Breaks) -> str:
    low, high = (f"{edge:+.2f}" for edge in breaks.gap_interval)
    if breaks.overlap:
        where = f"The clusters overlap, so no grade is given; the gap is {breaks.gap:+.2f}"
    else:
        steps = f"developing {breaks.developing:+.2f}, solid {breaks.solid:+.2f}, strong {breaks.strong:+.2f}"
        where = f"The clusters lie apart: {steps}; the gap is {breaks.gap:+.2f}"
    sure = ", which few texts leave unsure" if breaks.sureness == "unsure" else ""
    return f"{where}, in 9 cases of 10 from {low} to {high}{sure}."
