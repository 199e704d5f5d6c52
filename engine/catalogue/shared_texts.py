"""Finds texts of one model that are near duplicates of another's, by the hashes that are stored with their sets.

Hashes propose pairs, and the exact Jaccard index decides, as within one model. Of each text only the likeliest pair is
compared. Only the texts of proposed pairs are read, model by model, and only those that a later model's are held
against stay in memory.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.catalogue.condition import SharedTexts
from engine.catalogue.examine import SignedSet
from engine.errors import StoreError
from engine.store.sample_set import read_manifest
from engine.store.store import StoredSet, locate_set
from engine.store.stored_rows import walk_rows
from engine.text.signatures import NEAR, Signatures
from engine.text.stored_search import JOINED_TEXTS, BandSearch, Numbers, compare
from engine.text.words import normalise, shingle

# How many ids of a model are named: so many a person reads, and a command line takes.
MOST_IDS = 20
# Rows that are searched, and pairs whose signatures are compared, at once.
_SEARCHED, _COMPARED = 8_192, 65_536
_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class _Stored:
    """A stored text."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class _Near:
    """A text, and the one of another model that it is near to."""

    own: _Stored
    other: str
    other_text: str
    similarity: float


def find_shared_texts(samples_uri: str, signed: Sequence[SignedSet]) -> dict[str, SharedTexts]:
    """Finds for each model the texts that are near duplicates of those of models whose handles come before its own.

    Args:
        signed: the attached sets of all models, those of a model one after the other, by handle.

    Returns:
        By handle; models without such texts are left out.
    """
    if not signed:
        return {}
    signatures = np.concatenate([item.signatures for item in signed])
    sets = np.repeat(np.arange(len(signed)), [len(item.signatures) for item in signed])
    numbers = {handle: number for number, handle in enumerate(dict.fromkeys(item.handle for item in signed))}
    owners = np.array([numbers[item.handle] for item in signed])[sets]
    found: dict[str, list[_Near]] = defaultdict(list)
    for handle, near in _compare(samples_uri, signed, sets, _propose(signatures, owners)):
        found[handle].append(near)
    return {handle: _sum_up(handle, near) for handle, near in found.items()}


def _sum_up(handle: str, near: Sequence[_Near]) -> SharedTexts:
    nearest = max(near, key=lambda item: item.similarity)
    return SharedTexts(
        handle=handle,
        others=dict(Counter(item.other for item in near).most_common()),
        ids=tuple(item.own.id for item in near[:MOST_IDS]),
        text=nearest.own.text,
        other=nearest.other,
        other_text=nearest.other_text,
        similarity=round(nearest.similarity, 2),
    )


def _propose(signatures: Signatures, owners: Numbers) -> Numbers:
    """The position of the text before it, of another model, that each text is likeliest to be near to; -1 for none."""
    partners = np.full(len(signatures), -1, np.int64)
    keys = np.ascontiguousarray(signatures).view(np.dtype((np.void, signatures.shape[1]))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    # A text that stands in many models would be in as many pairs as their square: it is compared with the first alone.
    earliest = first[group]
    copied = owners[earliest] != owners
    partners[copied] = earliest[copied]
    kept = np.sort(first)
    near = _propose_near(signatures[kept], owners[kept])
    proposed = near >= 0
    partners[kept[proposed]] = kept[near[proposed]]
    return partners


def _propose_near(signatures: Signatures, owners: Numbers) -> Numbers:
    """What ``_propose`` does, of texts with different signatures."""
    partners, likeness = np.full(len(signatures), -1, np.int64), np.zeros(len(signatures), np.int64)
    for begins in range(0, len(signatures), JOINED_TEXTS):
        search = BandSearch(signatures[begins : begins + JOINED_TEXTS], NEAR.nearness)
        for start in range(begins, len(signatures), _SEARCHED):
            rows, others = search.find(signatures[start : start + _SEARCHED])
            rows, others = rows + start, others + begins
            wanted = (others < rows) & (owners[others] != owners[rows])
            for part in np.array_split(np.flatnonzero(wanted), max(1, -(-int(wanted.sum()) // _COMPARED))):
                own, other = rows[part], others[part]
                same = np.count_nonzero(signatures[own] == signatures[other], axis=1)
                order = np.argsort(same, kind="stable")
                order = order[same[order] > likeness[own[order]]]
                # Of several assignments to one row the last, the likeliest, stays.
                partners[own[order]], likeness[own[order]] = other[order], same[order]
    return partners


def _compare(
    samples_uri: str, signed: Sequence[SignedSet], sets: Numbers, partners: Numbers
) -> Iterator[tuple[str, _Near]]:
    """Yields the proposed pairs that are near by the exact index, each with the handle of its later text's model."""
    rows = np.flatnonzero(partners >= 0)
    # A text is held from its own set to the set of the last text that is compared with it.
    needed: dict[int, int] = {}
    for row in rows.tolist():
        needed[int(partners[row])] = int(sets[row])
    ends = np.cumsum([len(item.signatures) for item in signed])
    wanted = np.union1d(rows, partners[rows])
    held: dict[int, _Stored] = {}
    for number, item in enumerate(signed):
        begins = int(ends[number]) - len(item.signatures)
        own = wanted[np.searchsorted(wanted, begins) : np.searchsorted(wanted, int(ends[number]))]
        for row, stored in _read(samples_uri, item, begins, frozenset(own.tolist())):
            partner = int(partners[row])
            if row in needed:
                held[row] = stored
            if partner in held:
                other = held[partner].text
                similarity = compare(normalise(stored.text), shingle(stored.text), other)
                if similarity >= NEAR.nearness.jaccard:
                    yield item.handle, _Near(stored, signed[int(sets[partner])].handle, other, similarity)
        held = {row: stored for row, stored in held.items() if needed[row] > number}


def _read(samples_uri: str, item: SignedSet, begins: int, wanted: Collection[int]) -> Iterator[tuple[int, _Stored]]:
    """Yields the wanted texts of a set; none where it can no longer be read, which its model's row says."""
    if not wanted:
        return
    folder, row = locate_set(samples_uri, item.handle, item.pool, item.run_id), begins
    try:
        stored = StoredSet(folder, read_manifest(folder) or {}, written=False)
        for table in walk_rows(stored, ("id", "text"), _ROWS):
            for known, text in zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True):
                if row in wanted:
                    yield row, _Stored(known, text)
                row += 1
    except StoreError:
        return
