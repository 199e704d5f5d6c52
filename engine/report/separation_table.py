"""Words what the review found of how a trait's poles can be told apart, for the report's table and the run page."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.quality.outlook import CLEARLY_AUC, PARTLY_AUC
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


@dataclass(frozen=True, slots=True)
class Separation:
    """How one trait's poles can be told apart.

    Args:
        probe_auc: in [0, 1]; None if there are too few texts.
        wrong_side: the row ids of kept exemplars on the other pole's side.
        shortcuts: clauses.
        judge_auc: in [0, 1]; None if the in-context judge was not measured.
    """

    trait: str
    probe_auc: float | None
    wrong_side: tuple[int, ...] = ()
    shortcuts: tuple[str, ...] = ()
    judge_auc: float | None = None


@dataclass(frozen=True, slots=True)
class SeparationRow:
    """One row of the table."""

    trait: TraitWords
    told_apart: str
    wrong_side: int
    shortcuts: tuple[str, ...]
    judge: str


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
    return f"{name}: {'; '.join(found)}"
