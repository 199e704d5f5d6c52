"""Counts where the samples of a trait lie between its poles, for the report's histograms."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.domain.model import POLES, Pole, Trait
from engine.domain.samples import Row

BINS = 40


@dataclass(frozen=True, slots=True)
class Side:
    """The samples of one pole: how many lie in each bin, and how many of the kept ones on their own side."""

    all: tuple[int, ...]
    kept: tuple[int, ...]
    own_side: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Where the samples of one trait lie, from the negative pole to the positive one."""

    trait: Trait
    sides: Mapping[Pole, Side]

    @property
    def tallest(self) -> int:
        """How many samples the fullest bin has."""
        return max(max(side.all) for side in self.sides.values())


def count_positions(trait: Trait, rows: Iterable[Row], positions: Mapping[int, float]) -> Histogram | None:
    """Counts the rows of one trait by their position; None if none of them has any.

    Args:
        rows: the kept ones and those with a reason why not.
        positions: by row id, 0 negative to 1 positive.
    """
    placed = [row for row in rows if row["trait"] == trait.key and row["id"] in positions]
    if not placed:
        return None
    sides: dict[Pole, Side] = {}
    for pole in POLES:
        own = [row for row in placed if row["pole"] == pole]
        kept = [positions[row["id"]] for row in own if row["reason"] is None]
        sides[pole] = Side(
            _count_bins(positions[row["id"]] for row in own),
            _count_bins(kept),
            sum(at > 0.5 if pole == "positive" else at < 0.5 for at in kept),
        )
    return Histogram(trait, sides)


def _count_bins(positions: Iterable[float]) -> tuple[int, ...]:
    counts = Counter(min(BINS - 1, max(0, int(position * BINS))) for position in positions)
    return tuple(counts[place] for place in range(BINS))
