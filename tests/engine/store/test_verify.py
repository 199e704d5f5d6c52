"""Everything that can be broken in a store is found and named with its place, and nothing else is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.store_writers import find
from fakes.stored import HANDLE, attach_set, name_faults

from engine.errors import StoreError
from engine.store.changes import detach_set
from engine.store.layout import DETACHED, MANIFEST, SAMPLES
from engine.store.sample_set import seal
from engine.store.store import locate_set
from engine.store.verify import Fault, StoreVerifier

Spoil = Callable[[Path], object]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a set of each status in each pool, and of two traits."""
    store = tmp_path / "samples"
    attach_set(store, "one", traits=("clarity", "safety"))
    attach_set(store, "two")
    attach_set(store, "held-out", pool="eval")
    attach_set(store, "failed", status="rejected")
    detach_set(attach_set(store, "off"))
    return store


def locate(store: Path, run_id: str) -> Path:
    return Path(locate_set(str(store), HANDLE, "eval" if run_id == "held-out" else "train", run_id))


def change_manifest(folder: Path, **fields: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_bytes(seal({**manifest, **fields}))


def walk(store: Path) -> tuple[StoreVerifier, list[Fault]]:
    found = StoreVerifier(str(store))
    return found, list(found.find_faults())


def declare(name: str, **fields: object) -> Spoil:
    """The manifest says something else."""
    return lambda store: change_manifest(locate(store, name), **fields)


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


ONE, TWO, FAILED = "run=one/", "run=two/", "run=failed/"
MANIFESTS, SAMPLES_OF_TWO = ONE + MANIFEST, TWO + SAMPLES
STRAY = "not part of a sample store"
# What is done to a store, at the end of which place it is found, and what is said of it.
SPOILERS: tuple[tuple[Spoil, str, str], ...] = (
    (alter_bytes(MANIFESTS, lambda text: text[:17]), MANIFESTS, "Unterminated string"),
    (alter_bytes(MANIFESTS, lambda text: text.replace(b'"low"', b'"max"')), MANIFESTS, "altered since it was written"),
    (remove(MANIFESTS), "run=one", "debris: a set without a manifest"),
    (declare("failed", handle="u22a8.other"), FAILED + MANIFEST, "is 'u22a8.other', but the folder says 'u22a8.test'"),
    (remove(ONE + SAMPLES), ONE + SAMPLES, "a file that is missing"),
    (alter_bytes(SAMPLES_OF_TWO, lambda content: content + b"\0"), SAMPLES_OF_TWO, "bytes, but the manifest"),
    (alter_bytes(SAMPLES_OF_TWO, flip_byte), SAMPLES_OF_TWO, "different bytes of the same length"),
    (add(FAILED + SAMPLES), FAILED + SAMPLES, "a file that is not in the manifest"),
    (add(ONE + "notes.txt"), ONE + "notes.txt", "a file that is not in the manifest"),
    (add("run=three"), "pool=train/run=three", STRAY),
    (lambda store: (locate(store, "one").parents[1] / "pool=test").mkdir(), f"handle={HANDLE}/pool=test", STRAY),
)


def test_whole_store_has_no_faults_and_is_counted(store: Path, tmp_path: Path) -> None:
    found, faults = walk(store)

    assert [] == faults
    assert {"attached": 3, "proposed": 0, "rejected": 1, "detached": 1} == found.sets
    assert (1, 12) == (found.models, found.samples)
    assert sum(path.stat().st_size for path in store.rglob("*.p*q*")) == found.size_bytes
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StoreError, match="cannot be used"):
        walk(tmp_path / "file")


@pytest.mark.parametrize(("spoil", "place", "said"), SPOILERS, ids=[f"{row[1]}-{row[2][:30]}" for row in SPOILERS])
def test_what_is_broken_is_found_where_it_is(store: Path, spoil: Spoil, place: str, said: str) -> None:
    spoil(store)
    faults = walk(store)[1]
    matching = [fault for fault in faults if fault.where.endswith(place) and said in fault.what]

    assert 1 == len(matching), faults
    assert all(fault.remedy for fault in faults)


@pytest.mark.parametrize("name", ["run=off/" + SAMPLES, ONE + DETACHED])
def test_detach_that_did_not_end_is_none(store: Path, name: str) -> None:
    add(name)(store)

    assert [] == name_faults(store)


@pytest.mark.parametrize("pool", ["train", "eval"])
def test_sample_that_is_attached_twice_is_found_in_both_sets(store: Path, pool: str) -> None:
    """The copy has the rows of the other set under a run id of its own."""
    copy = Path(locate_set(str(store), HANDLE, pool, "copy"))  # type: ignore[arg-type]
    shutil.copytree(locate(store, "two"), copy)
    change_manifest(copy, run_id="copy", pool=pool)
    faults = walk(store)[1]

    assert {str(locate(store, "two")), str(copy)} == {fault.where for fault in faults}
    assert {"4 samples that are attached more than once"} == {fault.what.partition(",")[0] for fault in faults}
    assert all("detach" in fault.remedy for fault in faults)
    detach_set(find(store, "copy"))
    assert [] == name_faults(store)
