"""Everything that can be broken in a store is found and named with its place, and nothing else is."""

import json
import os
import shutil
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes.stored import HANDLE, attach_set

from engine.domain.model import digest_text
from engine.domain.samples import make_id
from engine.errors import StoreError
from engine.store.layout import MANIFEST, REJECTED, SAMPLES
from engine.store.sample_set import describe_file, digest_ids, seal
from engine.store.staging import STALE_SECONDS
from engine.store.store import detach_stored, locate_set
from engine.store.verify import Fault, StoreVerifier

Spoil = Callable[[Path], object]
MEBIBYTE = 1024 * 1024


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a set of each status in each pool, and of two models' worth of traits."""
    store = tmp_path / "samples"
    attach_set(store, "one", traits=("clarity", "safety"))
    attach_set(store, "two")
    attach_set(store, "held-out", pool="eval")
    attach_set(store, "failed", status="rejected")
    detach_stored(attach_set(store, "off"))
    return store


def walk(store: Path) -> tuple[StoreVerifier, list[Fault]]:
    found = StoreVerifier(str(store))
    return found, list(found.find_faults())


def locate(store: Path, run_id: str) -> Path:
    return Path(locate_set(str(store), HANDLE, "eval" if run_id == "held-out" else "train", run_id))


def change_manifest(folder: Path, **fields: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_bytes(seal({**manifest, **fields}))


def change_rows(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Other rows in the samples of a set, and a manifest that names the file as it is now."""
    table = change(pq.ParquetFile(folder / SAMPLES).read())
    pq.write_table(table, folder / SAMPLES)
    name_file(folder, SAMPLES, table.num_rows)


def name_file(folder: Path, name: str, rows: int) -> None:
    """The manifest names a file as it is now."""
    files = json.loads((folder / MANIFEST).read_bytes())["files"]
    change_manifest(folder, files={**files, name: describe_file((folder / name).read_bytes(), rows)})


def replace_column(name: str, make: Callable[[list[object]], list[object]]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index(name)
        column = pa.array(make(table[name].to_pylist()), table.schema.field(name).type)
        return table.set_column(index, table.schema.field(name), column)

    return change


def test_whole_store_has_no_faults_and_is_counted(store: Path) -> None:
    found, faults = walk(store)

    assert [] == faults
    assert {"attached": 3, "proposed": 0, "rejected": 1, "detached": 1} == found.sets
    assert (1, 12, 0) == (found.models, found.samples, found.broken)
    assert sum(path.stat().st_size for path in store.rglob("*.p*q*")) == found.size_bytes


def test_store_that_is_not_there_has_no_faults(tmp_path: Path) -> None:
    assert [] == walk(tmp_path / "nowhere")[1]
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StoreError, match="cannot be listed"):
        walk(tmp_path / "file")


def declare(name: str, **fields: object) -> Spoil:
    """The manifest says something else."""
    return lambda store: change_manifest(locate(store, name), **fields)


def alter_rows(change: Callable[[pa.Table], pa.Table]) -> Spoil:
    return lambda store: change_rows(locate(store, "two"), change)


def alter_bytes(place: str, change: Callable[[bytes], bytes]) -> Spoil:
    """A file of the pool for training has other bytes."""

    def spoil(store: Path) -> None:
        path = locate(store, "one").parent / place
        path.write_bytes(change(path.read_bytes()))

    return spoil


def remove(place: str) -> Spoil:
    return lambda store: (locate(store, "one").parent / place).unlink()


def add(place: str) -> Spoil:
    return lambda store: (locate(store, "one").parent / place).write_text("beside")


def flip_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def spoil_table(store: Path) -> None:
    (locate(store, "failed") / REJECTED).write_bytes(b"no Parquet")
    name_file(locate(store, "failed"), REJECTED, 0)


def make_left_over(store: Path) -> None:
    left = store.with_name(f".{store.name}-staging-left")
    shutil.copytree(store, left)
    moment = time.time() - STALE_SECONDS - 60
    os.utime(left, (moment, moment))


ONE, TWO, FAILED = "run=one/", "run=two/", "run=failed/"
OFF = "run=off/__run__/detached.pq"
ALTERED = "other bytes of the same length"
STRAY = "not part of a sample store"
# What is done to a store, at the end of which place it is found, and what is said of it.
SPOILERS: dict[str, tuple[Spoil, str, str]] = {
    "torn manifest": (alter_bytes(ONE + MANIFEST, lambda text: text[:17]), ONE + MANIFEST, "Unterminated string"),
    "altered manifest": (
        alter_bytes(ONE + MANIFEST, lambda text: text.replace(b'"low"', b'"max"')),
        ONE + MANIFEST,
        "altered since it was written",
    ),
    "no manifest": (remove(ONE + MANIFEST), "run=one", "a set without a manifest, so debris"),
    "manifest of nothing": (declare("one", status="new"), ONE + MANIFEST, "does not say what the set is"),
    "files of nothing": (declare("one", files={"a": 1}), ONE + MANIFEST, "does not say what the set is"),
    "counts of nothing": (declare("one", counts=[]), ONE + MANIFEST, "does not say what the set is"),
    "other handle": (
        declare("failed", handle="u22a8.other"),
        FAILED + MANIFEST,
        "handle is 'u22a8.other', but the folder says 'u22a8.test'",
    ),
    "other pool": (declare("failed", pool="eval"), FAILED + MANIFEST, "pool is 'eval'"),
    "other run": (declare("failed", run_id="one"), FAILED + MANIFEST, "run_id is 'one'"),
    "missing file": (remove(ONE + REJECTED), ONE + REJECTED, "a file that is missing"),
    "missing samples": (remove(ONE + SAMPLES), ONE + SAMPLES, "a file that is missing"),
    "longer file": (
        alter_bytes(TWO + SAMPLES, lambda content: content + b"\0"),
        TWO + SAMPLES,
        "bytes, but the manifest",
    ),
    "altered file": (alter_bytes(TWO + SAMPLES, flip_byte), TWO + SAMPLES, ALTERED),
    "altered detached": (alter_bytes(OFF, flip_byte), OFF, ALTERED),
    "no Parquet": (spoil_table, FAILED + REJECTED, "Parquet that cannot be read"),
    "other columns": (
        alter_rows(lambda table: table.drop_columns(["scenario"])),
        TWO + SAMPLES,
        "columns that are not those of the store",
    ),
    "fewer rows": (
        alter_rows(lambda table: table.slice(0, 3)),
        TWO + SAMPLES,
        "counts of traits and poles that differ",
    ),
    "other order": (alter_rows(lambda table: table.take([1, 0, 2, 3])), TWO + SAMPLES, "another order"),
    "wrong id": (
        alter_rows(replace_column("id", lambda ids: [1, *ids[1:]])),
        TWO + SAMPLES,
        "an id that does not match handle, trait and text, in 1 row",
    ),
    "wrong digest": (
        alter_rows(replace_column("content_sha256", lambda all_: ["x"] * 4)),
        TWO + SAMPLES,
        "a content_sha256 that does not match the text, in 4 rows",
    ),
    "wrong quality": (
        alter_rows(replace_column("quality", lambda all_: [0.5, *all_[1:]])),
        TWO + SAMPLES,
        "a quality that does not match the pole, in 1 row",
    ),
    "wrong run id": (
        alter_rows(replace_column("run_id", lambda all_: ["one"] * 4)),
        TWO + SAMPLES,
        "a provenance or run id that does not match the set, in 4 rows",
    ),
    "samples of a rejected set": (add(FAILED + SAMPLES), FAILED + SAMPLES, "samples of a set that is rejected"),
    "no samples named": (declare("failed", status="attached"), FAILED + MANIFEST, "the manifest names no samples"),
    "file beside": (add(ONE + "notes.txt"), ONE + "notes.txt", "a file that the manifest does not name"),
    "file among sets": (add("notes.txt"), "pool=train/notes.txt", STRAY),
    "file like a set": (add("run=three"), "pool=train/run=three", STRAY),
    "folder among pools": (
        lambda store: (locate(store, "one").parents[1] / "pool=test").mkdir(),
        f"handle={HANDLE}/pool=test",
        STRAY,
    ),
    "folder among models": (lambda store: (store / "other").mkdir(), "samples/other", STRAY),
    "left over": (make_left_over, "staging-left", "left by a process that is gone"),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_what_is_broken_is_found_where_it_is(store: Path, name: str) -> None:
    spoil, place, said = SPOILERS[name]
    spoil(store)
    found, faults = walk(store)

    assert len(faults) == found.broken
    matching = [fault for fault in faults if fault.where.endswith(place) and said in fault.what]
    assert 1 == len(matching), faults
    assert all(fault.remedy for fault in faults)


def test_run_that_has_two_sets_is_found(store: Path) -> None:
    attach_set(store, "one", pool="eval", count=2, traits=("other",))
    what = [fault.what for fault in walk(store)[1]]

    assert [f"a second set of the run that has {locate_set(str(store), HANDLE, 'eval', 'one')}"] == what


@pytest.mark.parametrize("pool", ["train", "eval"])
def test_sample_that_is_attached_twice_is_found_in_both_sets(store: Path, pool: str) -> None:
    """The copy has rows of the other set under its own run id, and is sound in itself."""
    copy = Path(locate_set(str(store), HANDLE, pool, "copy"))  # type: ignore[arg-type]
    shutil.copytree(locate(store, "two"), copy)
    change_manifest(copy, run_id="copy", pool=pool)
    change_rows(copy, replace_column("run_id", lambda all_: ["copy"] * 4))
    faults = walk(store)[1]

    assert {str(locate(store, "two")), str(copy)} == {fault.where for fault in faults}
    assert {"4 samples that are attached more than once"} == {fault.what.partition(",")[0] for fault in faults}
    assert all("detach" in fault.remedy for fault in faults)


def test_samples_of_detached_sets_and_of_other_models_are_not_twice(store: Path) -> None:
    detach_stored(attach_set(store, "two-again"))
    other = store / "handle=u22a8.other"
    assert not other.exists()

    assert [] == walk(store)[1]


def test_million_rows_are_checked_in_a_bounded_memory(tmp_path: Path) -> None:
    """Some of that here; what grows with it are 8 bytes a row, some times over."""
    store = tmp_path / "samples"
    texts = [f"large {number}, a text of about the length of a sentence" for number in range(25_000)]
    folder = Path(attach_set(store, "large").folder)
    ids = [make_id(HANDLE, "clarity", text) for text in texts]

    def enlarge(table: pa.Table) -> pa.Table:
        rows = {name: pa.concat_arrays([table[name].combine_chunks()[:1]] * len(texts)) for name in table.column_names}
        rows["text"] = pa.array(texts)
        rows["id"] = pa.array(ids, pa.int64())
        rows["content_sha256"] = pa.array([digest_text(text) for text in texts])
        return pa.table(rows, schema=table.schema)

    change_rows(folder, enlarge)
    change_manifest(
        folder,
        counts={"clarity": {"positive": len(texts), "negative": 0}},
        rows_sha256=digest_ids(ids),
    )
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    found, faults = walk(store)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert ([], 25_000) == (faults, found.samples)
    assert peak < 30 * MEBIBYTE
    assert pa.total_allocated_bytes() - before < 10 * MEBIBYTE
