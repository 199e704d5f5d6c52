"""Words what the review found of how a trait's poles can be told apart, for the report's table."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.axis.breaks import Breaks
from engine.choosing.probe import CLEARLY_AUC, MIN_AUC
from engine.report.wording import TraitWords

NOTHING = "–"
CHANCE_AUC = 0.5

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
        "What tells the poles apart without reading, such as a length or one word, and more surely than chance would. "
        "None is good; a scorer would learn it in place of the trait. The gate warns of lengths from an AUC of .8 on, "
        "chance or not.",
    ),
    (
        "In-context judge",
        "How well the synth model itself, shown some seeds with their labels, tells others apart (AUC, as above). It "
        "has a say in what is chosen by as much as it tells. A dash: it was not asked, or was shown so many seeds that "
        "none were left to measure it on.",
    ),
    (
        "Grades",
        "The platform grades a text by three breaks on the axis that the probe fits, 0 being the middle between the "
        "poles, and not at all where the two clusters overlap. Real texts are harder than the set's own: hold the set "
        "against some that you have labelled (exemplars test).",
    ),
)
UNKNOWN_LANGUAGE = "the sentence encoder does not know the language"


@dataclass(frozen=True, slots=True)
class Separation:
    """How one trait's poles can be told apart.

    Args:
        probe_auc: in [0, 1]; None if there are too few texts, or the encoder does not know the language.
        wrong_side: the row ids of kept exemplars on the other pole's side.
        shortcuts: clauses.
        judge_auc: in [0, 1]; None if the in-context judge was not measured.
        breaks: None for too few texts, or texts that nothing is trained on.
        language_known: whether the encoder knows the language of the texts.
    """

    trait: str
    probe_auc: float | None
    wrong_side: tuple[int, ...] = ()
    shortcuts: tuple[str, ...] = ()
    judge_auc: float | None = None
    breaks: Breaks | None = None
    language_known: bool = True

    @property
    def lack(self) -> str:
        """Why nothing was measured, where nothing was."""
        return "too few texts" if self.language_known else UNKNOWN_LANGUAGE


@dataclass(frozen=True, slots=True)
class SeparationRow:
    """One row of the table."""

    trait: TraitWords
    told_apart: str
    wrong_side: int
    shortcuts: tuple[str, ...]
    judge: str
    grades: str


def list_separations(separations: Sequence[Separation], traits: Sequence[TraitWords]) -> tuple[SeparationRow, ...]:
    """Makes a row for each trait."""
    by_key = {trait.key: trait for trait in traits}
    return tuple(
        SeparationRow(
            by_key[item.trait],
            format_auc(item.probe_auc, item.lack),
            len(item.wrong_side),
            item.shortcuts,
            format_auc(item.judge_auc, NOTHING),
            describe_breaks(item.breaks) if item.breaks else NOTHING,
        )
        for item in separations
        if item.trait in by_key
    )


def format_auc(auc: float | None, nothing: str) -> str:
    """Formats an AUC with a word on how good it is: “0.93, clearly”."""
    if auc is None:
        return nothing
    if auc < CHANCE_AUC:
        return f"{auc:.2f}, not at all"
    return f"{auc:.2f}, {'clearly' if auc >= CLEARLY_AUC else 'partly' if auc >= MIN_AUC else 'hardly'}"


def describe_breaks(breaks: Breaks) -> str:
    """Says where the two clusters lie, and what that means for grades."""
    developing, solid, strong = map(_format_score, (breaks.developing, breaks.solid, breaks.strong))
    if not breaks.overlap:
        return f"developing from {developing}, solid from {solid}, strong from {strong}"
    low = _format_score(breaks.developing + breaks.gap)
    return f"none, since the clusters overlap from {low} to {developing}"


def _format_score(score: float) -> str:
    """Formats a score with its sign; without one for what rounds to 0."""
    return f"{score:+.2f}" if abs(score) >= 0.005 else "0"
