"""Draws the texts of a model that are measured: of each trait and pole so many authored ones, earlier and last ones.

A model may have a million samples. What is measured hardly changes from some number of texts on, and embedding is
nearly all of the cost, so the number is bounded (docs/decisions/060-the-catalogues-health.md).
"""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.domain.model import POLES_BY_QUALITY, Model, Pole
from engine.quality.separation import name_group
from engine.store.store import StoredSet
from engine.store.stored_rows import walk_rows

Origin = Literal["authored", "earlier", "last"]
# Of each trait, pole and origin.
MOST_TEXTS = 40
_COLUMNS = ("trait", "text", "quality", "pair_id", "seed_sha256")
_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class DrawnText:
    """A text that is measured; ``group`` is its pair, else the seed that it varies, else itself."""

    text: str
    pole: Pole
    group: str
    origin: Origin


def draw_texts(model: Model, sets: Sequence[StoredSet], most: int = MOST_TEXTS) -> dict[str, list[DrawnText]]:
    """Draws texts by trait key, the same ones of the same samples; both halves of a pair are drawn together.

    Args:
        sets: the attached sets of the training pool, in the order of their creation.

    Raises:
        StoreError: a set cannot be read.
    """
    last = find_last_sets(sets)
    drawn: dict[tuple[str, Pole, Origin], list[DrawnText]] = defaultdict(list)
    _add(drawn, _walk_authored(model), most)
    for stored in sets:
        for table in walk_rows(stored, _COLUMNS, _ROWS):
            _add(
                drawn,
                _walk_stored(table.to_pylist(), {trait for trait, run in last.items() if run == stored.run_id}),
                most,
            )
    found: dict[str, list[DrawnText]] = {trait.key: [] for trait in model.traits}
    for (trait, _, _), texts in drawn.items():
        if trait in found:
            found[trait] += texts
    # Folds are runs of texts in this order: each has texts of both poles and of every origin.
    return {trait: sorted(texts, key=_rank) for trait, texts in found.items()}


def find_last_sets(sets: Iterable[StoredSet]) -> Mapping[str, str]:
    """Finds the run of the last set that has samples of a trait, by trait key."""
    return {
        trait: stored.run_id
        for stored in sets
        for trait, poles in stored.manifest.get("counts", {}).items()
        if any(poles.values())
    }


def _walk_authored(model: Model) -> Iterator[tuple[str, DrawnText]]:
    for trait in model.traits:
        for pole in POLES_BY_QUALITY.values():
            for seed in model.draw_seeds_at(trait.key, pole):
                yield trait.key, DrawnText(seed.text, pole, seed.text, "authored")


def _walk_stored(rows: Iterable[Mapping[str, object]], last: set[str]) -> Iterator[tuple[str, DrawnText]]:
    for row in rows:
        pole, trait, text = POLES_BY_QUALITY.get(float(str(row["quality"]))), str(row["trait"]), str(row["text"])
        if pole is not None:
            pair, seed = (None if row[name] is None else str(row[name]) for name in ("pair_id", "seed_sha256"))
            origin: Origin = "last" if trait in last else "earlier"
            yield trait, DrawnText(text, pole, name_group(pair, seed, text), origin)


def _add(
    drawn: dict[tuple[str, Pole, Origin], list[DrawnText]], texts: Iterable[tuple[str, DrawnText]], most: int
) -> None:
    """Adds texts, and keeps of each trait, pole and origin those whose groups have the least SHA-256."""
    new: dict[tuple[str, Pole, Origin], list[DrawnText]] = defaultdict(list)
    for trait, text in texts:
        new[trait, text.pole, text.origin].append(text)
    for key, own in new.items():
        drawn[key] = heapq.nsmallest(most, drawn[key] + own, key=_rank)


def _rank(text: DrawnText) -> tuple[bytes, str]:
    return hashlib.sha256(text.group.encode()).digest(), text.text
