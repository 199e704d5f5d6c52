"""Sets of an older version are read, checked, counted and detached as they are, and moved so that nothing is lost."""

import multiprocessing
import random
import time
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pandas as pd
import polars as pl
import pytest
import yaml
from fakes.older import ATTACHED, DETACHED, HANDLE, HELD_OUT, REJECTED, ROWS, put_older_store, put_older_store_on_s3
from fakes.readers import READERS, REMOTE_READERS, stay_offline
from fakes.s3 import S3, list_keys

from engine.errors import StoreError
from engine.listing.attached import count_attached, list_attached, walk_attached
from engine.listing.page import AttachedPosition
from engine.listing.statistics import StoreCounter
from engine.run.job import find_finished
from engine.store.backfill_ledger import read_ledger
from engine.store.layout import CARD, OLDER_NAMES, REPORT, SAMPLES
from engine.store.layout import DETACHED as DETACHED_FILE
from engine.store.layout import REJECTED as REJECTED_FILE
from engine.store.migration import list_unmoved, move_ledgers, move_set, move_sets
from engine.store.retention import list_old_sets
from engine.store.sample_set import read_manifest
from engine.store.store import detach_stored, find_set, list_sets, read_attached
from engine.store.verify import StoreVerifier
from engine.system.filesystem import read_bytes

# Readers of a whole store that see rejected rows of the older layout, or fail on them.
MISLED = ("datasets", "duckdb", "polars")
STATUSES = {ATTACHED: "attached", HELD_OUT: "attached", REJECTED: "rejected", DETACHED: "detached"}
START = AttachedPosition(0, "", 0)


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    stay_offline(monkeypatch, tmp_path)
    return str(put_older_store(tmp_path / "samples"))


@pytest.fixture
def older_remote(s3_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    stay_offline(monkeypatch, tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    return put_older_store_on_s3(s3_uri, tmp_path / "scratch")


def migrate(store: str) -> None:
    for _, folders in list_unmoved(store):
        move_sets(folders)
    move_ledgers(store)


def check_whole(store: str) -> None:
    """Whatever the layout is, our own readers see the same."""
    assert STATUSES == {run_id: stored.status for run_id in STATUSES if (stored := find_set(store, run_id))}
    sets = list_sets(store, HANDLE, "train")
    assert [ATTACHED] == [stored.run_id for stored in sets]
    assert (
        ROWS == len(read_attached(sets)) == sum(count.sample_count for count in count_attached(store, HANDLE).values())
    )
    assert ROWS == len(list(walk_attached(store, HANDLE, None, START)))
    for run_id in STATUSES:
        stored = find_set(store, run_id)
        assert stored is not None
        kept = stored.rows_name if stored.status != "rejected" else REJECTED_FILE
        for name in (kept, REJECTED_FILE, REPORT, CARD):
            assert read_bytes(stored.file(name))


def verify(store: str) -> tuple[list[str], StoreVerifier]:
    verifier = StoreVerifier(store)
    return [fault.what for fault in verifier.find_faults()], verifier


def is_misled(reader: str, store: str) -> bool:
    """Whether a reader gets other rows than the samples, or fails on files that have other columns."""
    try:
        return 2 * ROWS != len(READERS[reader](store))
    except (datasets.exceptions.DatasetGenerationError, duckdb.InvalidInputException, pl.exceptions.PolarsError):
        return True


def list_names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_older_sets_are_read_checked_and_counted_as_they_are(older: str) -> None:
    check_whole(older)
    faults, verifier = verify(older)

    assert [] == faults
    assert {"attached": 2, "proposed": 0, "rejected": 1, "detached": 1} == verifier.sets
    assert (4, True) == (verifier.older_sets, verifier.has_older_ledgers)
    assert read_ledger(older, "1").ended
    assert 4 == sum(totals.sets for totals in StoreCounter(older).count().groups.values())
    finished = find_finished(older, HANDLE, "from_traits", ATTACHED)
    assert finished is not None
    assert finished.report.endswith(OLDER_NAMES[REPORT])
    [old] = list_old_sets(older, pd.Timestamp.now("UTC").to_pydatetime())
    assert (REJECTED, "rejected") == (old.run_id, old.kind)


def test_moved_sets_lie_as_new_ones_do_and_keep_what_they_were(older: str) -> None:
    folder = Path(find_folder(older, DETACHED))
    attached = Path(find_folder(older, ATTACHED))
    rows = {path: (path / SAMPLES).read_bytes() for path in (attached, Path(find_folder(older, HELD_OUT)))}
    kept = (folder / OLDER_NAMES[DETACHED_FILE]).read_bytes()
    positions = list_attached(older, HANDLE)
    before = read_manifest(str(attached))
    migrate(older)
    after = read_manifest(str(attached))

    check_whole(older)
    assert [] == verify(older)[0]
    assert (0, False) == (verify(older)[1].older_sets, verify(older)[1].has_older_ledgers)
    assert read_ledger(older, "1").ended
    assert rows == {path: (path / SAMPLES).read_bytes() for path in rows}
    assert kept == (folder / DETACHED_FILE).read_bytes()
    documents = ["__run__/README.md", "__run__/manifest.json", "__run__/rejected.pq", "__run__/report.html"]
    assert [*documents, "__run__/verdict.json", "samples.parquet"] == list_names(attached)
    assert ["__run__/README.md", "__run__/detached.pq", *documents[1:], "__run__/verdict.json"] == list_names(folder)
    assert [item.attached_ns for item in positions] == [item.attached_ns for item in list_attached(older, HANDLE)]
    assert before is not None
    assert after is not None
    assert {"files", "manifest_sha256"} == {name for name in after if after[name] != before[name]}
    assert not move_set(str(attached))
    assert "<code>rejected.pq</code>" in (attached / REPORT).read_text(encoding="utf-8")


def find_folder(store: str, run_id: str) -> str:
    stored = find_set(store, run_id)
    assert stored is not None
    return stored.folder


def test_card_of_a_moved_set_loads_where_it_lies(older: str) -> None:
    migrate(older)
    folder = find_folder(older, ATTACHED)
    header: dict[str, Any] = yaml.safe_load(Path(folder, CARD).read_text(encoding="utf-8").split("---\n")[1])

    assert ["../samples.parquet"] == [entry["path"] for entry in header["configs"][0]["data_files"]]
    found = datasets.load_dataset(f"{folder}/__run__")
    assert {"train": ROWS} == {name: split.num_rows for name, split in found.items()}


def check_reader(reader: str, store: str) -> None:
    """It is misled, or not, until the sets are moved; then it sees the samples alone."""
    assert (reader in MISLED) == is_misled(reader, store)
    migrate(store)
    whole = READERS[reader](store)

    assert 2 * ROWS == len(whole)
    assert "reason" not in whole
    assert ROWS == len(READERS[reader](find_folder(store, ATTACHED)))


@pytest.mark.parametrize("reader", READERS)
def test_some_readers_see_rejected_rows_until_the_sets_are_moved(older: str, reader: str) -> None:
    check_reader(reader, older)


@pytest.mark.slow
@pytest.mark.parametrize("reader", REMOTE_READERS)
def test_readers_of_s3_see_exemplars_alone_of_moved_sets(older_remote: str, reader: str) -> None:
    check_reader(reader, older_remote)


@pytest.mark.slow
def test_move_on_s3_that_breaks_at_any_request_loses_nothing_and_is_finished_by_the_next(
    older_remote: str, s3: S3
) -> None:
    broken = 0
    for changes in range(100):
        s3.break_after(changes)
        try:
            migrate(older_remote)
            done = True
        except (OSError, StoreError):
            done = False
            broken += 1
        finally:
            s3.heal()
        check_whole(older_remote)
        assert set(verify(older_remote)[0]) <= {"left by a move to the new layout that did not end"}
        if done:
            break
    assert 10 < broken
    assert [] == verify(older_remote)[0]
    assert 0 == verify(older_remote)[1].older_sets
    assert not [key for key in list_keys(older_remote) if "_run/" in key.replace("__run__/", "") or "/_manifest" in key]


def test_move_that_is_killed_at_any_instant_loses_nothing_and_is_finished_by_the_next(tmp_path: Path) -> None:
    instants = random.Random(20261126)
    halves = 0
    for number in range(25):
        store = str(put_older_store(tmp_path / f"{number}/samples"))
        process = multiprocessing.get_context("fork").Process(target=migrate, args=(store,))
        process.start()
        time.sleep(instants.uniform(0, 0.06))
        process.kill()
        process.join()
        check_whole(store)
        faults, verifier = verify(store)
        halves += 0 < verifier.older_sets + verifier.has_older_ledgers + len(faults) < 5 or bool(faults)
        migrate(store)

        check_whole(store)
        assert [] == verify(store)[0]
        assert 0 == verify(store)[1].older_sets
    assert 0 < halves


def test_altered_file_of_an_older_set_stays_altered_when_it_moves(older: str) -> None:
    folder = Path(find_folder(older, ATTACHED))
    for name in (SAMPLES, OLDER_NAMES[CARD]):
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
    (folder / OLDER_NAMES[REPORT]).unlink()
    migrate(older)

    altered = {f"{folder}/{name}" for name in (SAMPLES, CARD, REPORT)}
    assert altered == {fault.where for fault in StoreVerifier(older).find_faults()}


def test_file_that_no_manifest_names_stays_and_is_told(older: str) -> None:
    folder = Path(find_folder(older, ATTACHED))
    (folder / "_run/notes.txt").write_text("mine")
    migrate(older)

    assert ["a file that the manifest does not name"] == verify(older)[0]
    assert "mine" == (folder / "_run/notes.txt").read_text()


def test_older_set_is_detached_into_the_new_layout(older: str) -> None:
    stored = find_set(older, ATTACHED)
    assert stored is not None
    assert detach_stored(stored)

    assert [] == list_sets(older, HANDLE, "train")
    assert [] == verify(older)[0]
    assert ROWS == len(pd.read_parquet(Path(stored.folder, DETACHED_FILE), partitioning=None))
    assert [] == list(walk_attached(older, HANDLE, None, START))
