"""Reads texts that a user has labelled, holds the axis of a trait's samples against them, and places single texts.

The axis is the difference of the poles' means, as the platform itself scores (``engine/axis/separation.py``).
"""

import heapq
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import PurePath
from typing import BinaryIO, TypeVar

import numpy as np

from engine.axis.breaks import Breaks, Grade, measure_breaks
from engine.axis.separation import Flags, Numbers, rank_auc, score_others
from engine.definitions.mistakes import find_near_spelling, format_names
from engine.definitions.outline import Outline
from engine.definitions.sources.labelled_lines import CONTENT, Labels, gather_lines, read_fields, walk_csv, walk_jsonl
from engine.domain.model import POLES, POLES_BY_QUALITY, Attached, Seed, Trait, digest_text
from engine.errors import DefinitionError, InputError, Problem
from engine.text.embedding import Vectors
from engine.text.words import drop_unseen, normalise

# The fields that may hold the labels where only one trait is meant.
PLAIN_FIELDS = ("quality", "label")
MOST_MISTAKES = 20
CSV_ENDINGS, JSONL_ENDINGS = (".csv",), (".jsonl", ".ndjson")
# More texts at a pole hardly narrow the interval, and embedding them takes minutes: with 1,000 a pole and an AUC of .8
# it is from .780 to .819.
MAX_REAL_PER_POLE = 1_000
# No longer text is placed: one of 20,000 characters takes the encoder about a second, and memory grows with the length.
MAX_CHARACTERS = 20_000
# The normal distribution's quantile of an interval of 95 %.
Z_95 = 1.959964
_BISECTIONS = 40
Item = TypeVar("Item", Seed, Attached)


# Why a labelled text is not held against the samples. One that is "between" has not the quality of a pole; "attached"
# would be placed by itself; "authored" would flatter what these reach; "surplus" is above ``MAX_REAL_PER_POLE``.
LEFT_OUT = {
    "contested": "labelled both ways",
    "between": "between the poles",
    "long": f"longer than {MAX_CHARACTERS:,} characters",
    "attached": "an attached sample itself",
    "authored": "an authored sample itself",
    "surplus": "to spare",
}


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Texts of one trait: their vectors, shape (n, d), and whether each is at the positive pole."""

    vectors: Vectors
    positive: Flags

    @property
    def has_both_poles(self) -> bool:
        """Whether there are texts at both poles."""
        return any(self.positive) and not all(self.positive)


@dataclass(frozen=True, slots=True)
class Reach:
    """How well an axis tells labelled texts apart that it was not fit to: the AUC in [0, 1], its 95 % interval."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What real texts say of the axis of samples: how far it reaches, and the score of each, shape (n,)."""

    reach: Reach
    scores: Numbers


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a text lies: its score, in the unit of ``score_others``, and its grade; None with too few samples."""

    score: float
    breaks: Breaks | None
    grade: Grade | None


def read_labelled(name: str, stream: BinaryIO, outline: Outline, only: Trait | None = None) -> list[Seed]:
    """Reads the labels of a file for a model's traits; the labels of a text for several traits are several seeds.

    The labels of a trait stand in a field with its key, or in one that the model's own sources map to it. Where only
    one trait is meant, they may stand in ``quality`` or ``label``.

    Args:
        name: the file's name, for messages; its ending says what it is. A name without one, such as that of a pipe, may
            be either.
        only: the one trait whose labels are read; the others' are passed over.

    Raises:
        DefinitionError: there are mistakes in the file; the error carries the first of them.
        InputError: the file is neither CSV nor JSONL.
    """
    file = stream if stream.seekable() else io.BytesIO(stream.read())
    is_csv = _is_csv(name, file)
    labels = _choose_labels(name, read_fields(file, is_csv), outline, only, is_csv)
    seeds, problems, _ = gather_lines((walk_csv if is_csv else walk_jsonl)(name, file, labels))
    if len(problems) > MOST_MISTAKES:
        raise DefinitionError(f"{name}, of {len(problems):,} the first", problems[:MOST_MISTAKES])
    if problems:
        raise DefinitionError(name, problems)
    return seeds


def draw_at_poles(items: Sequence[Item], most: int) -> list[Item]:
    """Draws at most so many texts at each pole, those with the least SHA-256, and returns them in their order."""
    drawn: set[int] = set()
    for quality in POLES_BY_QUALITY:
        own = [item for item in items if item.quality == quality]
        if len(own) > most:
            own = heapq.nsmallest(most, own, key=lambda item: digest_text(item.text))
        drawn |= set(map(id, own))
    return [item for item in items if id(item) in drawn]


def choose_real_texts(
    real: Sequence[Seed], attached: Collection[str], authored: Collection[str]
) -> tuple[list[Seed], dict[str, int]]:
    """Chooses the labelled texts of one trait that count, in their order; of too many those with the least SHA-256.

    Args:
        attached: the attached samples of the trait. Texts are the same if their normal forms are.
        authored: the authored ones.

    Returns:
        The texts, and how many are left out by each of ``LEFT_OUT`` that occurs.
    """
    taken = set(map(normalise, attached))
    known = set(map(normalise, authored)) - taken
    at_poles = [seed for seed in real if seed.pole]
    sides = {pole: {drop_unseen(seed.text) for seed in at_poles if seed.pole == pole} for pole in POLES}
    contested = sides["positive"] & sides["negative"]
    agreed = [seed for seed in at_poles if drop_unseen(seed.text) not in contested]
    short = [(normalise(seed.text), seed) for seed in agreed if len(seed.text) <= MAX_CHARACTERS]
    new = [seed for form, seed in short if form not in taken and form not in known]
    drawn = draw_at_poles(new, MAX_REAL_PER_POLE)
    left_out = {
        "contested": len(at_poles) - len(agreed),
        "between": len(real) - len(at_poles),
        "long": len(agreed) - len(short),
        "attached": sum(form in taken for form, _ in short),
        "authored": sum(form in known for form, _ in short),
        "surplus": len(new) - len(drawn),
    }
    return drawn, {reason: count for reason, count in left_out.items() if count}


def hold_against(samples: Labelled, real: Labelled) -> Held | None:
    """Measures how well the axis of samples tells real texts apart, and scores each; None if a pole is empty."""
    if not samples.has_both_poles:
        return None
    scores = score_others(samples.vectors, samples.positive, real.vectors)
    auc = rank_auc(scores, real.positive)
    if auc is None:
        return None
    count = int(np.sum(real.positive))
    return Held(Reach(auc, *bound_auc(auc, count, len(scores) - count)), scores)


def list_wrong_side(scores: Numbers, positive: Flags) -> list[int]:
    """Lists the texts that lie on the other pole's side of the middle, the farthest first, by their index."""
    sides = np.where(np.asarray(positive, dtype=bool), scores, -scores)
    return [int(index) for index in np.argsort(sides, kind="stable") if sides[index] < 0]


def bound_auc(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Returns the 95 % interval of an AUC: the values from which it lies less than 1.96 standard errors away.

    The standard error is that of Hanley and McNeil (1982), at the bound itself and with both counts replaced by their
    mean (Newcombe 2006, Statistics in Medicine 25:559, method 5). In 1,500 draws of two normal clusters, each with 5,
    10, 20 and 40 texts a pole and true AUCs of .6, .8, .9 and .97, it held the true one in 94 to 98 of 100; the
    intervals of DeLong (1988) and of Hanley and McNeil, which have no width at an AUC of 1, in 35 to 95.
    """

    def lies_near(bound: float) -> bool:
        spread = (1 - bound) / (2 - bound) + bound / (1 + bound)
        error = sqrt(bound * (1 - bound) * (1 + ((positives + negatives) / 2 - 1) * spread) / (positives * negatives))
        return abs(bound - auc) <= Z_95 * error

    bounds = []
    for end in (0.0, 1.0):
        near, far = auc, end
        for _ in range(_BISECTIONS):
            middle = (near + far) / 2
            near, far = (middle, far) if lies_near(middle) else (near, middle)
        bounds.append(near)
    return bounds[0], bounds[1]


def place_text(samples: Labelled, groups: Sequence[str], vector: Vectors) -> Placement:
    """Places a text on the axis of a trait's samples, at both poles of which there are some.

    Args:
        groups: the group of each sample, such as its pair; see ``score_held_out``.
        vector: the text's, shape (1, d).
    """
    score = float(score_others(samples.vectors, samples.positive, vector)[0])
    breaks = measure_breaks(samples.vectors, samples.positive, groups)
    return Placement(score, breaks, breaks.grade(score) if breaks else None)


def _is_csv(name: str, stream: BinaryIO) -> bool:
    ending = PurePath(name).suffix.lower()
    if ending in CSV_ENDINGS + JSONL_ENDINGS:
        return ending in CSV_ENDINGS
    if ending:
        raise InputError(
            f"{name}: labelled texts are read from CSV (.csv, UTF-8, with a header row) and JSONL (.jsonl, one JSON "
            f"object a line). Write {name} as one of these"
        )
    stream.seek(0)
    is_object = stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    return not is_object


def _choose_labels(name: str, fields: list[str], outline: Outline, only: Trait | None, is_csv: bool) -> Labels:
    """Chooses the fields of a file that hold labels.

    Raises:
        DefinitionError: there are none.
    """
    mapped = {field: trait for source in outline.sources for field, trait in source.mapping.items() if trait}
    own: Mapping[str, Trait] = mapped | {trait.key: trait for trait in outline.traits}
    meant = [only] if only else list(outline.traits)
    wanted: Labels = {field: trait if trait in meant else None for field, trait in own.items()}
    if any(own.get(field) in meant for field in fields):
        return {field: trait for field, trait in wanted.items() if field in fields} if is_csv else wanted
    if len(meant) == 1 and (plain := next((field for field in PLAIN_FIELDS if field in fields), None)):
        return {plain: meant[0]}
    if not is_csv and any(field in own for field in fields):
        return wanted
    if not fields:
        return {} if is_csv else own
    keys = [trait.key for trait in meant]
    plainly = f"or {' or '.join(map(repr, PLAIN_FIELDS))}" + ("" if len(meant) == 1 else " with --trait")
    allowed = f"labels for {outline.handle}, in {format_names(keys)}, {plainly}"
    found = format_names(fields)
    problems = [Problem(name, 1, "fields", found, allowed, _suggest(fields, keys))]
    if CONTENT not in fields:
        problems.append(Problem(name, 1, "fields", found, f"the text, in {CONTENT!r}", _suggest(fields, [CONTENT])))
    raise DefinitionError(name, problems)


def _suggest(fields: list[str], choices: list[str]) -> str | None:
    return next(filter(None, (find_near_spelling(field, choices) for field in fields)), None)
