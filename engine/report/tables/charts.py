"""Computes the coordinates of the marks and bars in the report's SVG pictures; the templates only draw them."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from engine.domain.model import POLES, Pole
from engine.domain.samples import Reason, Row
from engine.report.wording import TraitWords, explain_reason
from engine.text.formatting import count_noun, name_reason
from engine.text.words import count_words

WIDTH = 480
EDGE = 12
# More marks in one picture cannot be told apart; then only every nth is drawn, and the caption says so.
MAX_MARKS = 600
_MARK_PITCH = 8.0
_SIDE_HEIGHT = 96.0


@dataclass(frozen=True, slots=True)
class SamplePoint:
    """One sample in a picture, drawn as a mark; ``hint`` is its tooltip."""

    x: float
    y: float
    pole: str
    kept: bool
    hint: str


@dataclass(frozen=True, slots=True)
class PoleSide:
    """How many (``own``) of a pole's kept samples lie on its own side of the middle."""

    pole: Pole
    label: str
    own: int
    kept: int


@dataclass(frozen=True, slots=True)
class PositionPicture:
    """Samples between the poles of one trait: positive ones stacked upwards from ``axis``, negative ones downwards.

    ``placed`` counts all samples with a position, drawn or not.
    """

    trait: TraitWords
    marks: tuple[SamplePoint, ...]
    sides: tuple[PoleSide, ...]
    axis: float
    height: float
    placed: int


@dataclass(frozen=True, slots=True)
class Lane:
    """The lengths of one pole's samples as a box plot.

    ``words`` are the minimum, the quartiles and the maximum, in words; ``stops`` are their x coordinates.
    """

    pole: Pole
    label: str
    count: int
    words: tuple[float, ...]
    stops: tuple[float, ...]
    y: float
    marks: tuple[SamplePoint, ...]


@dataclass(frozen=True, slots=True)
class LengthPicture:
    """The lengths of one trait's kept samples, with a lane for each pole that has any."""

    trait: TraitWords
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True)
class ReasonBar:
    """The bar of one reason; ``share`` is its length in percent of the longest bar, ``code`` what the files have."""

    code: str
    name: str
    count: int
    share: float
    explanation: str


def draw_pole_positions(
    trait: TraitWords, kept: Iterable[Row], rejected: Iterable[Row], positions: Mapping[int, float]
) -> PositionPicture | None:
    """Computes the picture of one trait's samples between its poles; None if no row of the trait has a position.

    Args:
        positions: by row id, 0 negative to 1 positive.
    """
    rows = [row for row in (*kept, *rejected) if row["trait"] == trait.key and row["id"] in positions]
    if not rows:
        return None
    rows.sort(key=lambda row: (row["reason"] is not None, positions[row["id"]]))
    drawn = rows[:: math.ceil(len(rows) / MAX_MARKS)]
    points, axis, height = _place_marks([(row["pole"], positions[row["id"]]) for row in drawn])
    marks = tuple(
        SamplePoint(x, y, row["pole"], row["reason"] is None, _hint(trait, row, f"at {positions[row['id']]:.2f}"))
        for row, (x, y) in zip(drawn, points, strict=True)
    )
    return PositionPicture(trait, marks, _count_sides(trait, rows, positions), axis, height, len(rows))


def _place_marks(positions: Sequence[tuple[str, float]]) -> tuple[list[tuple[float, float]], float, float]:
    """Places marks given by pole and position, 0 negative to 1 positive; those of one column are stacked.

    Returns their x and y, the y of the line between positive and negative ones, and the height of the whole.
    """
    levels = _stack([(pole, _bin(position)) for pole, position in positions])
    tallest = {
        side: max((level for (pole, _), level in zip(positions, levels, strict=True) if pole == side), default=0)
        for side in POLES
    }
    pitch = min(_MARK_PITCH, _SIDE_HEIGHT / max(1, *tallest.values()))
    axis = EDGE + 8 + tallest["positive"] * pitch
    points = []
    for (pole, position), level in zip(positions, levels, strict=True):
        x = min(EDGE + _bin(position) * _MARK_PITCH, WIDTH - EDGE)
        away = 8 + level * pitch
        points.append((round(x, 1), round(axis - away if pole == "positive" else axis + away, 1)))
    return points, axis, axis + 8 + tallest["negative"] * pitch + EDGE


def _bin(position: float) -> int:
    """Returns the column of a mark; columns are as wide as marks, so that neighbours do not overlap."""
    return round(min(1.0, max(0.0, position)) * (WIDTH - 2 * EDGE) / _MARK_PITCH)


def _stack(entries: Sequence[tuple[str, int]]) -> list[int]:
    """Returns for each entry how many equal entries came before it."""
    seen: Counter[tuple[str, int]] = Counter()
    levels = []
    for entry in entries:
        levels.append(seen[entry])
        seen[entry] += 1
    return levels


def _hint(trait: TraitWords, row: Row, place: str) -> str:
    label = trait.labels["positive" if row["pole"] == "positive" else "negative"]
    text = " ".join((row["text"] or "").split())
    return f"{label}, {name_reason(row['reason'] or 'kept')}, {place}: {text[:140]}{'…' if len(text) > 140 else ''}"


def _count_sides(trait: TraitWords, rows: Iterable[Row], positions: Mapping[int, float]) -> tuple[PoleSide, ...]:
    sides = []
    for pole in POLES:
        own_positions = [positions[row["id"]] for row in rows if row["pole"] == pole and row["reason"] is None]
        own = sum(at > 0.5 if pole == "positive" else at < 0.5 for at in own_positions)
        sides.append(PoleSide(pole, trait.labels[pole], own, len(own_positions)))
    return tuple(sides)


def draw_lengths(traits: Sequence[TraitWords], kept: Sequence[Row]) -> tuple[int, tuple[LengthPicture, ...]]:
    """Computes the pictures of lengths, one for each trait with kept samples.

    Returns:
        The end of the scale in words, which all pictures share, and the pictures.
    """
    top = _round_up(max((count_words(row["text"] or "") for row in kept), default=0))
    pictures = []
    for trait in traits:
        rows = [row for row in kept if row["trait"] == trait.key]
        poles = [pole for pole in POLES if any(row["pole"] == pole for row in rows)]
        lanes = tuple(_draw_lane(trait, pole, place, rows, top) for place, pole in enumerate(poles))
        if lanes:
            pictures.append(LengthPicture(trait, lanes))
    return top, tuple(pictures)


def _round_up(words: int) -> int:
    """Rounds up to a number of words whose half is round too."""
    step = 10 if words <= 100 else 50 if words <= 500 else 100
    return max(step, math.ceil(words / step) * step)


def _draw_lane(trait: TraitWords, pole: Pole, place: int, rows: Iterable[Row], top: int) -> Lane:
    mine = sorted((row for row in rows if row["pole"] == pole), key=lambda row: count_words(row["text"] or ""))
    counts = [count_words(row["text"] or "") for row in mine]
    words = _summarise(counts)
    y = 24.0 + 44 * place
    marks = tuple(
        # Five offsets in turn keep marks of equal length apart; random jitter would differ from run to run.
        SamplePoint(
            _scale(number, top),
            y + 4.5 * ((2 * order) % 5 - 2),
            pole,
            True,
            _hint(trait, row, count_noun(number, "word")),
        )
        for order, (number, row) in enumerate(zip(counts, mine, strict=True))
    )
    stops = tuple(_scale(number, top) for number in words)
    return Lane(pole, trait.labels[pole], len(mine), words, stops, y, marks[:: math.ceil(len(marks) / MAX_MARKS)])


def _summarise(counts: Sequence[int]) -> tuple[float, ...]:
    quartiles = statistics.quantiles(counts, n=4, method="inclusive") if len(counts) > 1 else [counts[0]] * 3
    return (counts[0], *quartiles, counts[-1])


def _scale(words: float, top: int) -> float:
    return round(EDGE + words / top * (WIDTH - 2 * EDGE), 1)


def draw_reasons(reasons: Mapping[Reason, int]) -> tuple[ReasonBar, ...]:
    """Computes the bars of the reasons that occurred, the longest first."""
    found = sorted(((code, count) for code, count in reasons.items() if count), key=lambda item: (-item[1], item[0]))
    return tuple(
        ReasonBar(code, name_reason(code), count, round(100 * count / found[0][1], 1), explain_reason(code))
        for code, count in found
    )


def split_by_difference(text: str, other: str) -> list[tuple[str, bool]]:
    """Splits a text into runs of words, each with whether ``other`` has these words too."""
    known = {_bare(word) for word in other.split()}
    runs = groupby(text.split(), key=lambda word: _bare(word) in known)
    return [(" ".join(words), shared) for shared, words in runs]


def _bare(word: str) -> str:
    return re.sub(r"^\W+|\W+$", "", word.casefold())
