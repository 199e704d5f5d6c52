"""Defines the gate's Expectation on diversity; importing this module registers it with Great Expectations."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pandas as pd
from great_expectations.core.suite_parameters import SuiteParameterDict

from expectations.classes import RowsExpectation

# In a set of fewer texts, human texts too may share an opening by chance (docs/decisions/010).
FEW_TEXTS = 20
Figures = Mapping[str, float | None]


class ExpectVarietyToBeAtLeast(RowsExpectation):
    """The diversity figures of every trait and pole that has rows are within the limits; a figure of None passes.

    ``figures`` are those of ``engine.quality.diversity.Variety`` by ``trait/pole``: they are passed to the gate, since
    the rows have no vectors. The limits lie between the figures of human texts and those of sets with a planted mode
    collapse (docs/decisions/010). ``max_shared_openings_of_few`` replaces ``max_shared_openings`` for groups of fewer
    than 20 texts.
    """

    figures: dict[str, dict[str, Any]] | SuiteParameterDict[str, str]
    min_vendi_of_eight: float
    min_distinct_pairs: float
    max_shared_openings: float
    max_shared_openings_of_few: float
    success_keys: ClassVar[tuple[str, ...]] = (
        "figures",
        "min_vendi_of_eight",
        "min_distinct_pairs",
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
        return _find_worst(list(figures.values())), faults


def _find_group_faults(figures: Figures, count: int, limits: Mapping[str, Any]) -> Iterator[str]:
    """Yields a clause for each figure of a group of ``count`` rows that is past its limit."""
    if figures["count"] != count:
        yield f"the figures are of {figures['count']} texts, and there are {count}"
        return
    vendi, pairs = figures["vendi_of_eight"], figures["distinct_2"]
    openings = figures["shared_openings_of_eight"]
    most = limits["max_shared_openings_of_few" if count < FEW_TEXTS else "max_shared_openings"]
    if vendi is not None and vendi < limits["min_vendi_of_eight"]:
        yield f"eight texts count as {vendi:.1f} different ones"
    if pairs is not None and pairs < limits["min_distinct_pairs"]:
        yield f"{pairs:.0%} of word pairs differ"
    if openings is not None and openings > most:
        yield f"{openings:.0%} of eight texts open like another"


def _find_worst(figures: list[Figures]) -> Mapping[str, float | None]:
    def list_known(name: str) -> list[float]:
        return [value for group in figures if (value := group.get(name)) is not None]

    return {
        "lowest vendi_of_eight": min(list_known("vendi_of_eight"), default=None),
        "lowest distinct_2": min(list_known("distinct_2"), default=None),
        "highest shared_openings_of_eight": max(list_known("shared_openings_of_eight"), default=None),
    }
