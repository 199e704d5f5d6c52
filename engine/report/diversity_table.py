"""The report's table of variety: the figures of each pole's exemplars beside its seeds', as they read and as bars."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.domain.model import Pole
from engine.quality.diversity import SUBSET_SIZE, Coverage, PoleVariety, Variety
from engine.report.wording import TraitWords

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell: what it says of the exemplars and of the seeds, and where both stand on its bar in percent.

    ``seeds`` is empty where the pole has none; a place is None where there is no bar.
    """

    measure: str
    said: str
    seeds: str
    filled: float | None
    tick: float | None


@dataclass(frozen=True, slots=True)
class VarietyRow:
    """One trait at one pole. ``scenarios`` says how much of what the scenarios offer is used."""

    trait: TraitWords
    pole: Pole
    figures: tuple[Figure, ...]
    scenarios: str


@dataclass(frozen=True, slots=True)
class Measure:
    """How a figure is called, told and read. ``full`` is its bar's end; None where bars would mislead."""

    name: str
    meaning: str
    read: Callable[[Variety], float | None]
    tell: Callable[[float, Variety], str]
    full: float | None


MEASURES = (
    Measure(
        "Eight count as",
        "If all said something different, any eight texts would count as eight; if all said the same, as one.",
        lambda variety: variety.vendi_of_eight,
        lambda value, _: f"{value:.1f}",
        SUBSET_SIZE,
    ),
    Measure(
        "All count as",
        "The same of all texts together. The more there are, the less each adds: compare it at equal numbers only.",
        lambda variety: variety.vendi if variety.count else None,
        lambda value, variety: f"{value:.1f} of {variety.count:,}",
        None,
    ),
    Measure(
        "Alike in meaning",
        "The mean likeness of two texts: 0 for nothing in common, 1 for the same. Lower is more varied.",
        lambda variety: variety.mean_cosine,
        lambda value, _: f"{value:.2f}",
        1.0,
    ),
    Measure(
        "Different word pairs",
        "How many of any fifty pairs of neighbouring words are different ones. Higher is more varied.",
        lambda variety: variety.distinct_2,
        lambda value, _: f"{value:.0%}",
        1.0,
    ),
    Measure(
        "Open alike",
        "How many of any eight texts begin with the same three words as another of them. Lower is more varied.",
        lambda variety: variety.shared_openings_of_eight,
        lambda value, _: f"{value:.0%}",
        1.0,
    ),
)


def draw_variety(variety: Sequence[PoleVariety], traits: Sequence[TraitWords]) -> tuple[VarietyRow, ...]:
    """A row for each trait and pole that has exemplars, in the order of ``variety``."""
    by_key = {trait.key: trait for trait in traits}
    return tuple(
        VarietyRow(
            by_key[item.trait],
            item.pole,
            tuple(_draw_figure(measure, item.exemplars, item.seeds) for measure in MEASURES),
            format_coverage(item.coverage),
        )
        for item in variety
        if item.exemplars.count and item.trait in by_key
    )


def format_coverage(coverage: Mapping[str, Coverage]) -> str:
    """How many of the values that could have been used are: “24 of 24”."""
    used = sum(part.used for part in coverage.values())
    possible = sum(part.possible for part in coverage.values())
    return f"{used:,} of {possible:,}" if possible else NOTHING


def format_figure(measure: Measure, variety: Variety | None) -> str:
    """A figure in digits; a dash where there are too few texts for it."""
    value = measure.read(variety) if variety else None
    return NOTHING if variety is None or value is None else measure.tell(value, variety)


def _draw_figure(measure: Measure, exemplars: Variety, seeds: Variety | None) -> Figure:
    return Figure(
        measure=measure.name,
        said=format_figure(measure, exemplars),
        seeds=format_figure(measure, seeds) if seeds else "",
        filled=_place(measure, exemplars),
        tick=_place(measure, seeds) if seeds else None,
    )


def _place(measure: Measure, variety: Variety) -> float | None:
    value = measure.read(variety)
    if value is None or measure.full is None:
        return None
    return round(100 * min(1.0, max(0.0, value / measure.full)), 1)
