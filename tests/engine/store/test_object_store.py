"""The store on an S3 server: whichever request it breaks at, no half of a set is seen, and the sweep cleans."""

import pandas as pd
import pytest
from fakes.s3 import BUCKET, S3, list_keys
from fakes.stored import HANDLE, TOMORROW, attach_set, name_faults

from engine.errors import StoreError
from engine.listing.samples import count_attached
from engine.store.changes import detach_set, find_detachable
from engine.store.garbage import collect_garbage
from engine.store.index.rows import read_attached
from engine.store.layout import DETACHED, HASHES, MANIFEST, REJECTED, SAMPLES
from engine.store.store import check_writable, find_set, list_sets, locate_pool
from engine.system.filesystem import open_folder

pytestmark = pytest.mark.slow

ROWS = 4
FILES = 3


@pytest.fixture
def store(s3_uri: str) -> str:
    """The URI of a store of this test's own with one set, ``old``."""
    attach_set(s3_uri, "old")
    return s3_uri


def list_runs(store: str) -> list[str]:
    sets = list_sets(store, HANDLE, "train")
    assert ROWS * len(sets) == len(read_attached(sets)) == count_attached(store, HANDLE).total()
    return sorted(stored.run_id for stored in sets)


def list_files(store: str, run_id: str) -> list[str]:
    start = f"handle={HANDLE}/pool=train/run={run_id}/"
    return [key.removeprefix(start) for key in list_keys(store) if key.startswith(start)]


@pytest.mark.parametrize("way", ["variable", "query"])
def test_set_is_written_and_read_where_the_server_stands(s3: S3, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    uri = f"s3://{BUCKET}/{way}/samples"
    if way == "query":
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        uri += f"?endpoint_override={s3.url.removeprefix('http://')}&scheme=http"
    check_writable(uri)
    attach_set(uri, "a")

    assert ["a"] == list_runs(uri)
    assert [HASHES, MANIFEST, REJECTED, SAMPLES] == list_files(uri, "a")
    assert [] == name_faults(uri)
    found = find_set(uri, "a")
    assert found is not None
    assert (f"{locate_pool(uri, HANDLE, 'train')}/run=a", HANDLE) == (found.folder, found.handle)
    keys = list_keys(uri)
    attach_set(uri, "a")
    assert keys == list_keys(uri)


@pytest.mark.parametrize("before", [None, "rejected"])
def test_server_that_breaks_after_any_request_leaves_a_whole_set_or_none(
    store: str, s3: S3, before: str | None
) -> None:
    """Where nothing was there before, every second try finds what the one before has left."""
    for changes in range(20):
        if before:
            collect_garbage(store, HANDLE, TOMORROW)
            attach_set(store, "new", status="rejected")
        s3.changes_left = changes
        try:
            attach_set(store, "new")
            whole = True
        except StoreError:
            whole = False
        finally:
            s3.heal()

        runs = ["new", "old"] if whole else ["old"]
        assert runs == list_runs(store)
        if changes % 2:
            collect_garbage(store, HANDLE, TOMORROW)
            assert [] == name_faults(store)
            assert runs == list_runs(store)
        if whole:
            break
    assert whole
    assert changes >= FILES
    assert () == collect_garbage(store, HANDLE, TOMORROW)


def test_debris_is_named_by_verify_and_cleaned_by_the_next_run_of_its_model(store: str, s3: S3) -> None:
    for run_id in ("half", "retried"):
        s3.changes_left = 4
        with pytest.raises(StoreError, match=r"ACCESS_DENIED.*the next start continues"):
            attach_set(store, run_id)
        s3.heal()
    attach_set(store, "retried", status="rejected")

    assert [MANIFEST, REJECTED] == list_files(store, "retried")
    assert ["debris: a set without a manifest"] == name_faults(store)
    assert () == collect_garbage(store, "u22a8.other", TOMORROW)
    assert [HASHES, REJECTED, SAMPLES] == list_files(store, "half")
    [said] = collect_garbage(store, HANDLE, TOMORROW)
    assert "run=half: a set without a manifest" in said
    assert [] == list_files(store, "half")


def test_detaching_that_breaks_after_any_request_leaves_the_set_attached_or_not(store: str, s3: S3) -> None:
    for changes in range(10):
        run_id = f"a{changes}"
        attach_set(store, run_id)
        stored = find_detachable(f"s3://{BUCKET}/no-models", store, run_id)
        s3.changes_left = changes
        try:
            detach_set(stored)
            done = True
        except StoreError:
            done = False
        finally:
            s3.heal()
        seen = list_runs(store)
        assert seen in ([run_id, "old"], ["old"])
        collect_garbage(store, HANDLE, TOMORROW)

        assert [] == name_faults(store)
        assert seen == list_runs(store)
        if done:
            break
        if run_id in seen:
            detach_set(find_detachable(f"s3://{BUCKET}/no-models", store, run_id))
    assert 3 <= changes
    assert [DETACHED, HASHES, MANIFEST, REJECTED] == list_files(store, run_id)
    assert {"old": ROWS} == dict(pd.read_parquet(store)["run_id"].value_counts())
    assert {("clarity", "positive"): 2, ("clarity", "negative"): 2} == count_attached(store, HANDLE)


def test_key_that_may_not_write_is_told_before_anything_is_paid_for(store: str, s3: S3) -> None:
    before = list_keys(store)
    check_writable(store)
    assert before == list_keys(store)
    s3.changes_left = 0
    with pytest.raises(StoreError, match="EXEMPLARS_SAMPLES_URI"):
        check_writable(store)


def test_address_that_holds_a_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(StoreError, match=r"^s3://… contains a key.* AWS_ACCESS_KEY_ID"):
        open_folder("s3://AKIA:secret@bucket/samples")
