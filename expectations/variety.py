"""Defines the gate's Expectations on diversity and coherence; importing it registers them with Great Expectations."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pandas as pd
from great_expectations.core.suite_parameters import SuiteParameterDict

from expectations.classes import RowsExpectation

# In a set of fewer texts, human texts too may share an opening by chance (docs/decisions/005-duplicates.md).
FEW_TEXTS = 20
Figures = Mapping[str, float | None]
VARIETY_NAMES = {
    "vendi_of_eight": ("eight count as, at least", min),
    "shared_openings_of_eight": ("share that open alike, at most", max),
}
COHERENCE_NAMES = {
    "word_order": ("word order, at least", min),
    "seed_likeness": ("like the seeds, at least", min),
}


class ExpectVarietyToBeAtLeast(RowsExpectation):
    """The diversity figures of every trait and pole that has rows are within the limits; a figure of None passes.

    ``figures`` are those of ``engine.choosing.diversity.Variety`` by ``trait/pole``: they are passed to the gate, since
    the rows have no vectors. The limits lie between the figures of human texts and those of sets with a planted mode
    collapse (docs/decisions/005-duplicates.md). ``max_shared_openings_of_few`` replaces ``max_shared_openings`` for
    groups of fewer than 20 texts.
    """

    figures: dict[str, dict[str, Any]] | SuiteParameterDict[str, str]
    min_vendi_of_eight: float
    max_shared_openings: float
    max_shared_openings_of_few: float
    success_keys: ClassVar[tuple[str, ...]] = (
        "figures",
        "min_vendi_of_eight",
        "max_shared_openings",
        "max_shared_openings_of_few",
    )

    def find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        """Observes the worst of each figure; a fault is a figure that is past its limit."""
        groups = Counter("/".join(map(str, key)) for key in zip(frame["trait"], frame["pole"], strict=True))
        figures = {group: fields["figures"].get(group, {"count": 0}) for group in groups}
        faults = [
            f"{group}: {fault}"
            for group, count in groups.items()
            for fault in _find_group_faults(figures[group], count, fields)
        ]
        return _find_worst(list(figures.values()), VARIETY_NAMES), faults


class ExpectTextsToBeCoherent(RowsExpectation):
    """The texts of every trait and pole read as texts, and as texts of their seeds' kind; a figure of None passes.

    ``figures`` are as in ``ExpectVarietyToBeAtLeast``. The limits lie between the figures of human texts and those of
    shuffled words and of texts of another kind (docs/decisions/005-duplicates.md).
    """

    figures: dict[str, dict[str, Any]] | SuiteParameterDict[str, str]
    min_word_order: float
    min_seed_likeness: float
    success_keys: ClassVar[tuple[str, ...]] = ("figures", "min_word_order", "min_seed_likeness")

    def find_faults(self, frame: pd.DataFrame, **fields: Any) -> tuple[Mapping[str, Any], list[str]]:
        """Observes the worst of each figure; a fault is a figure below its limit."""
        groups = {"/".join(map(str, key)) for key in zip(frame["trait"], frame["pole"], strict=True)}
        figures = {group: found for group, found in fields["figures"].items() if group in groups}
        faults = []
        for group, found in figures.items():
            order, likeness = found.get("word_order"), found.get("seed_likeness")
            if order is not None and order < fields["min_word_order"]:
                faults.append(f"{group}: the order of the words says next to nothing ({order:.2f})")
            if likeness is not None and likeness < fields["min_seed_likeness"]:
                faults.append(f"{group}: {likeness:.0%} as like the seeds as these are to each other")
        return _find_worst(list(figures.values()), COHERENCE_NAMES), faults


def _find_group_faults(figures: Figures, count: int, limits: Mapping[str, Any]) -> Iterator[str]:
    """Yields a clause for each figure of a group of ``count`` rows that is past its limit."""
    if figures["count"] != count:
        yield f"the figures are of {figures['count']} texts, and there are {count}"
        return
    vendi, openings = figures["vendi_of_eight"], figures["shared_openings_of_eight"]
    most = limits["max_shared_openings_of_few" if count < FEW_TEXTS else "max_shared_openings"]
    if vendi is not None and vendi < limits["min_vendi_of_eight"]:
        yield f"eight texts count as {vendi:.1f} different ones"
    if openings is not None and openings > most:
        yield f"{openings:.0%} of eight texts open like another"


def _find_worst(figures: list[Figures], names: Mapping[str, tuple[str, Callable[[list[float]], float]]]) -> Figures:
    """Finds the worst of each figure over all groups, under the name that people are shown."""
    known = {name: [value for group in figures if (value := group.get(name)) is not None] for name in names}
    return {shown: worst(known[name]) if known[name] else None for name, (shown, worst) in names.items()}
