"""Formats the figures of diversity and coherence of each pole's exemplars and seeds, for the report's table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.choosing.diversity import SUBSET_SIZE
from engine.domain.model import Pole
from engine.domain.verdict import PoleVariety, Variety
from engine.report.wording import TraitWords

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell of the table.

    ``text`` is the exemplars' figure and ``seeds`` that of the seeds, empty if the pole has none. ``filled`` and
    ``tick`` are the positions of both on the cell's bar, in percent; None if there is no bar.
    """

    measure: str
    text: str
    seeds: str
    filled: float | None
    tick: float | None


@dataclass(frozen=True, slots=True)
class VarietyRow:
    """The figures of one trait at one pole."""

    trait: TraitWords
    pole: Pole
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """How one figure is named, explained, read and formatted.

    ``full`` is the value at the end of its bar.
    """

    name: str
    meaning: str
    read: Callable[[Variety], float | None]
    format_value: Callable[[float], str]
    full: float


MEASURES = (
    Measure(
        "Eight count as",
        "If all said something different, any eight texts would count as eight; if all said the same, as one.",
        lambda variety: variety.vendi_of_eight,
        lambda value: f"{value:.1f}",
        SUBSET_SIZE,
    ),
    Measure(
        "Open alike",
        "The share of any eight texts that begin with the same three words as another of them. Lower is more varied.",
        lambda variety: variety.shared_openings_of_eight,
        lambda value: f"{value:.0%}",
        1.0,
    ),
    Measure(
        "Word order says",
        "Near 0 the texts might as well be their words shuffled; sentences have .2 and more. Below .1 there is a "
        "warning: read a few. A dash: too few texts, or a language in which it cannot be told.",
        lambda variety: variety.word_order,
        lambda value: f"{value:.2f}",
        1.0,
    ),
    Measure(
        "Like the seeds",
        "100% is as like the seeds of the trait as these are to each other. Below 55% there is a warning: it may be "
        "another kind of text. A dash: too few texts or seeds.",
        lambda variety: variety.seed_likeness,
        lambda value: f"{value:.0%}",
        1.0,
    ),
)


def draw_variety(variety: Sequence[PoleVariety], traits: Sequence[TraitWords]) -> tuple[VarietyRow, ...]:
    """Makes a row for each trait and pole with exemplars, in the order of ``variety``."""
    by_key = {trait.key: trait for trait in traits}
    return tuple(
        VarietyRow(
            by_key[item.trait],
            item.pole,
            tuple(_draw_figure(measure, item.exemplars, item.seeds) for measure in MEASURES),
        )
        for item in variety
        if item.exemplars.count and item.trait in by_key
    )


def format_figure(measure: Measure, variety: Variety | None) -> str:
    """Formats a figure; a dash if there are too few texts for it."""
    value = measure.read(variety) if variety else None
    return NOTHING if variety is None or value is None else measure.format_value(value)


def format_seeds_figure(measure: Measure, seeds: Variety | None) -> str:
    """Formats a figure of the seeds; empty if they have none."""
    return "" if seeds is None or measure.read(seeds) is None else format_figure(measure, seeds)


def _draw_figure(measure: Measure, exemplars: Variety, seeds: Variety | None) -> Figure:
    return Figure(
        measure=measure.name,
        text=format_figure(measure, exemplars),
        seeds=format_seeds_figure(measure, seeds),
        filled=_place(measure, exemplars),
        tick=_place(measure, seeds) if seeds else None,
    )


def _place(measure: Measure, variety: Variety) -> float | None:
    value = measure.read(variety)
    return None if value is None else round(100 * min(1.0, max(0.0, value / measure.full)), 1)
