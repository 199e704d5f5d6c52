"""Words what the review found of how a trait's poles can be told apart, for the report's table and the run page."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.quality.breaks import MIN_TEXTS_TO_BE_SURE, Breaks
from engine.quality.outlook import CLEARLY_AUC, PARTLY_AUC, Outlook
from engine.report.charts import ClusterPicture, draw_clusters
from engine.report.wording import TraitWords
from engine.text.formatting import count_noun

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
)
GRADE_MEANING = (
    "Where the two clusters lie on the axis that the probe fits, 0 being the middle between the poles: "
    "the platform grades a text by the three breaks, and not at all where the clusters overlap. All of it is measured "
    "on the set's own texts, each on an axis that has not seen it. Real texts are harder: hold the set against some "
    "that you have labelled (exemplars test)."
)
UNKNOWN_LANGUAGE = "the sentence encoder does not know the language"

_SEEDS = "Better seeds, or a clearer description where there are none"


@dataclass(frozen=True, slots=True)
class Separation:
    """How one trait's poles can be told apart.

    Args:
        probe_auc: in [0, 1]; None if there are too few texts, or the encoder does not know the language.
        wrong_side: the row ids of kept exemplars on the other pole's side.
        shortcuts: clauses.
        judge_auc: in [0, 1]; None if the in-context judge was not measured.
        outlook: None for texts that nothing is trained on.
        language_known: whether the encoder knows the language of the texts.
    """

    trait: str
    probe_auc: float | None
    wrong_side: tuple[int, ...] = ()
    shortcuts: tuple[str, ...] = ()
    judge_auc: float | None = None
    outlook: Outlook | None = None
    language_known: bool = True

    @property
    def lack(self) -> str:
        """Why nothing was measured, where nothing was."""
        return "too few texts" if self.language_known else UNKNOWN_LANGUAGE


@dataclass(frozen=True, slots=True)
class SeparationRow:
    """One row of the table. What stands below it is empty for texts that nothing is trained on.

    Args:
        advice: what would help most.
        outlook: where the clusters lie.
        clusters: the picture of that; None if there are no breaks.
    """

    trait: TraitWords
    told_apart: str
    wrong_side: int
    shortcuts: tuple[str, ...]
    judge: str
    advice: str
    outlook: str
    clusters: ClusterPicture | None


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
            give_advice(item.outlook, item.language_known) if item.outlook else "",
            describe_outlook(item.outlook) if item.outlook else "",
            draw_clusters(by_key[item.trait], item.outlook.scores, item.outlook.breaks) if item.outlook else None,
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
    return f"{auc:.2f}, {'clearly' if auc >= CLEARLY_AUC else 'partly' if auc >= PARTLY_AUC else 'hardly'}"


def describe_separation(separation: Separation, name: str) -> str:
    """Describes one trait's separation in a line, for the run page."""
    found = [
        f"told apart {format_auc(separation.probe_auc, f'not measured: {separation.lack}')}",
        f"{count_noun(len(separation.wrong_side), 'text')} like the other pole",
        f"{count_noun(len(separation.shortcuts), 'shortcut')}",
    ]
    said = f"{name}: {'; '.join(found)}"
    if outlook := separation.outlook:
        said = f"{said}. {give_advice(outlook, separation.language_known)} {describe_outlook(outlook)}".rstrip()
    return said


def describe_outlook(outlook: Outlook) -> str:
    """Says where the clusters lie."""
    return _describe_breaks(outlook.breaks) if outlook.breaks else ""


def give_advice(outlook: Outlook, language_known: bool) -> str:
    """Names what would help most, and why."""
    match outlook.advice:
        case "enough":
            return "Enough, by its own texts."
        case "more of the same":
            return "More of the same: so few texts cannot show that they are enough. Run once more at the same effort."
        case "better seeds" if outlook.hardly_differs:
            return f"{_SEEDS}: the poles hardly differ, and more of the same would leave them so."
        case "better seeds":
            return f"{_SEEDS}: more of the same would hardly help."
    if not language_known:
        return f"Not known: {UNKNOWN_LANGUAGE}."
    return f"Not known: a pole has fewer than {MIN_TEXTS_TO_BE_SURE} texts. Run once more, or at a higher effort."


def _describe_breaks(breaks: Breaks) -> str:
    developing, solid, strong = map(_format_score, (breaks.developing, breaks.solid, breaks.strong))
    if breaks.overlap:
        low = _format_score(breaks.developing + breaks.gap)
        where = (
            f"The clusters overlap, so no grade is given: a quarter of the positive texts lie below {low}, and a "
            f"quarter of the negative ones above {developing}"
        )
    else:
        where = (
            f"The clusters lie apart: a text is developing from {developing}, solid from {solid}, strong from {strong}"
        )
    lowest, highest = map(_format_score, breaks.gap_interval)
    gap = f"The gap between them is {_format_score(breaks.gap)}, in 9 cases of 10 from {lowest} to {highest}"
    if breaks.texts < MIN_TEXTS_TO_BE_SURE:
        sure = f": with {breaks.texts} texts a pole that is a guess"
    elif breaks.sureness == "unsure":
        sure = f", so they may {'lie apart' if breaks.overlap else 'overlap'} after all"
    else:
        sure = ""
    return f"{where}. {gap}{sure}."


def _format_score(score: float) -> str:
    """Formats a score with its sign; without one for what rounds to 0."""
    return f"{score:+.2f}" if abs(score) >= 0.005 else "0"
