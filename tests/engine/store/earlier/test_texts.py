"""Hashes of stored texts are never trusted where they are not what they should be, but made anew."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow.parquet as pq
import pytest
from fakes.builders import make_exemplar, make_model, make_stamp
from fakes.stored import HANDLE, read_files

from engine.domain.model import Pool
from engine.domain.samples import make_row
from engine.run.job import read_pools
from engine.store.earlier.hashes import prune_hashes
from engine.store.earlier.search import find_nearest
from engine.store.earlier.texts import list_unchecked, open_samples
from engine.store.layout import HASHES, MANIFEST, SAMPLES
from engine.store.sample_set import SampleSet, describe_file, seal, unseal
from engine.store.store import StoredSet, list_sets, write_set
from engine.text.signatures import KINDS, NEAR, HashKind

TEXTS = ("The spare key of the cellar hangs behind the blue door.", "Seven geese crossed our yard in the snow.")
ASKED = "The spare key of the cellar hangs behind the blue door now."


def attach(
    folder: Path, run_id: str, texts: tuple[str, ...] = TEXTS, beside: tuple[str, ...] | None = (), pool: Pool = "train"
) -> StoredSet:
    stamp = replace(make_stamp(run_id), handle=HANDLE)
    rows = [make_row(make_exemplar(text, index=number), stamp, None) for number, text in enumerate(texts)]
    inputs = {} if beside is None else {"checked_beside": list(beside)}
    return write_set(str(folder), SampleSet(stamp, pool, "attached", "plan", rows, [], {}, {}, inputs))


def change_manifest(stored: StoredSet, change: Callable[[dict[str, object]], None]) -> None:
    path = Path(stored.folder) / MANIFEST
    manifest = unseal(path.read_bytes())
    change(manifest)
    path.write_bytes(seal(manifest))


def age_hashes(path: Path) -> None:
    """As another version made them."""
    pq.write_table(pq.read_table(path).replace_schema_metadata({"hashes_version": "0"}), path)


def alter_hashes(path: Path) -> None:
    """Other hashes of the same size: with them nothing would be found."""
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)


def spoil_hashes(stored: StoredSet, spoil: Callable[[Path], None]) -> None:
    for name in HASHES.values():
        spoil(Path(stored.file(name)))


def name_aged_hashes(stored: StoredSet) -> None:
    spoil_hashes(stored, age_hashes)
    entries = {name: describe_file(Path(stored.file(name)).read_bytes(), len(TEXTS)) for name in HASHES.values()}
    change_manifest(stored, lambda manifest: cast(dict[str, object], manifest["files"]).update(entries))


def alter_samples(stored: StoredSet) -> None:
    """Another text in their place, which the set's own hashes know nothing of."""
    path = Path(stored.file(SAMPLES))
    table = pq.read_table(path)
    texts = [ASKED, *table["text"].to_pylist()[1:]]
    pq.write_table(table.set_column(2, table.schema.field("text"), [texts]), path)


SPOILED: dict[str, Callable[[StoredSet], None]] = {
    "its own cannot be read": lambda stored: spoil_hashes(stored, Path.unlink),
    "its own are not made as this version makes them": name_aged_hashes,
    "its own were altered since they were written": lambda stored: spoil_hashes(stored, alter_hashes),
    "its samples were altered since they were written": alter_samples,
}


def find(folder: Path, cache: Path | None, kind: HashKind = NEAR) -> dict[str, int]:
    samples = open_samples(list_sets(str(folder), HANDLE, "train"), cache)
    return {match.key: round(100 * match.similarity) for match in find_nearest([ASKED], samples.texts, kind).values()}


@pytest.mark.parametrize("kind", KINDS)
def test_hashes_of_the_set_itself_are_used(tmp_path: Path, kind: HashKind, caplog: pytest.LogCaptureFixture) -> None:
    attach(tmp_path / "samples", "one")
    found = find(tmp_path / "samples", tmp_path / "cache", kind)

    assert ["attached/0"] == list(found)
    assert not (tmp_path / "cache").exists()
    assert [] == caplog.messages


@pytest.mark.parametrize("why", SPOILED)
def test_hashes_that_cannot_be_trusted_are_made_anew_once_with_one_line(
    tmp_path: Path, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stored = attach(tmp_path / "samples", "one")
    SPOILED[why](stored)
    before = read_files(stored.folder)
    found = [find(tmp_path / "samples", tmp_path / "cache") for _ in range(2)]

    assert ["attached/0"] == list(found[0])
    assert found[0] == found[1] == find(tmp_path / "samples", None)
    assert 2 == sum(why in said for said in caplog.messages)
    assert before == read_files(stored.folder)


def test_hashes_in_the_cache_are_used_until_they_are_altered_or_long_unused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil_hashes(attach(tmp_path / "samples", "one"), alter_hashes)
    first = find(tmp_path / "samples", tmp_path / "cache")
    [kept] = (tmp_path / "cache" / "hashes").iterdir()
    assert first == find(tmp_path / "samples", tmp_path / "cache")
    assert 1 == len(caplog.messages)
    kept.write_bytes(kept.read_bytes()[::-1])
    assert first == find(tmp_path / "samples", tmp_path / "cache")
    assert 2 == len(caplog.messages)
    assert [kept] == list((tmp_path / "cache" / "hashes").iterdir())
    now = datetime.now(UTC)
    os.utime(kept, (0, 0))
    find(tmp_path / "samples", tmp_path / "cache")
    prune_hashes(tmp_path / "cache", 3, now)
    prune_hashes(tmp_path / "cache", 0.01, now + timedelta(days=1))
    assert kept.exists()
    prune_hashes(tmp_path / "cache", 2, now + timedelta(days=3))
    assert not kept.exists()


def test_texts_are_read_by_their_position_across_sets(tmp_path: Path) -> None:
    for number in range(3):
        attach(tmp_path, f"run-{number}", (f"first of {number}", f"second of {number}"))
    samples = open_samples(list_sets(str(tmp_path), HANDLE, "train"))

    assert 6 == len(samples)
    assert {1: "second of 0", 4: "first of 2"} == samples.texts.read(np.array([1, 4]))
    assert ["first of 0", "second of 0"] == [item.text for item in samples][:2]
    assert {"rotating a key": 3, "moving a database": 3} == samples.count_subjects("clarity")
    assert samples.count_subjects("clarity") == samples.count_subjects()
    assert {} == samples.count_subjects("safety")
    assert [6, 6] == [sum(map(len, samples.texts.walk_hashes(kind, "signature"))) for kind in KINDS]


def test_samples_are_read_again_only_where_other_sets_are_attached(tmp_path: Path) -> None:
    attach(tmp_path, "one")
    first = read_pools(str(tmp_path), make_model(handle=HANDLE))
    second = read_pools(str(tmp_path), first)
    attach(tmp_path, "two", ("a text of the second set", "and one more of it"))
    third = read_pools(str(tmp_path), second)

    assert first.attached is second.attached
    assert (2, 4) == (len(second.attached), len(third.attached))


def test_sets_that_no_gate_has_held_against_each_other_are_listed(tmp_path: Path) -> None:
    attach(tmp_path, "foreign", beside=None)
    attach(tmp_path, "gated", beside=("foreign",))
    attach(tmp_path, "other", beside=("gated",))
    sets = {item.run_id: item for item in list_sets(str(tmp_path), HANDLE, "train")}

    def list_for(*run_ids: str) -> list[str]:
        own = [sets[run_id] for run_id in run_ids]
        return [item.run_id for item in list_unchecked(own, own)[0]]

    assert ["foreign"] == list_for("foreign", "gated")
    assert [] == list_for("gated", "other")
    assert ["foreign", "other"] == list_for("foreign", "gated", "other")
    change_manifest(sets["gated"], lambda manifest: manifest.update(hashes_version=0))
    sets = {item.run_id: item for item in list_sets(str(tmp_path), HANDLE, "train")}
    assert ["gated"] == list_for("gated")


def test_pairs_of_older_sets_are_found_once_and_kept(tmp_path: Path) -> None:
    attach(tmp_path / "samples", "one", beside=None)
    attach(tmp_path / "samples", "two", (ASKED, "Something else altogether stands in this one."), beside=None)
    asked = []

    def find_pairs(texts: object, others: object, rows: object) -> list[tuple[int, str, str, float]]:
        asked.append(texts)
        return [(2, ASKED, TEXTS[0], 0.9)]

    for _ in range(2):
        texts = open_samples(list_sets(str(tmp_path / "samples"), HANDLE, "train"), tmp_path / "cache").texts
        assert [(2, ASKED, TEXTS[0], 0.9)] == texts.recall_pairs("duplicates", texts, find_pairs)
    assert 1 == len(asked)
    assert 4 == sum(map(len, texts.walk_hashes(NEAR, "signature")))
