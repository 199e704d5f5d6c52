"""A set enters the store in one move or not at all, and what stands there is what was given, to the byte."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import yaml
from fakes.builders import make_exemplar, make_model, make_stamp, make_trait
from fakes.long import choose, longer
from fakes.workspace import mount_disk
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.model import Attached
from engine.domain.samples import (
    REJECTED_SCHEMA,
    SAMPLE_SCHEMA,
    Row,
    make_id,
    make_rejected_table,
    make_row,
    make_sample_table,
)
from engine.errors import StoreError
from engine.report.dataset_card import render_card
from engine.run.job import read_pools
from engine.store.layout import CARD, HASHES, MANIFEST, REJECTED, REPORT, SAMPLES, VERDICT
from engine.store.sample_set import GROUP_ROWS, SampleSet, Status, read_manifest
from engine.store.store import (
    check_writable,
    detach_stored,
    digest_sets,
    list_sets,
    locate_set,
    read_attached,
    write_set,
)
from engine.text.language import Language

RUN = "11111111-1111-1111-1111-111111111111"
ROWS = 40
# How many sets come in while readers look.
COMMITS = choose(once=20, at_length=200)
DOCUMENTS = {VERDICT: '{"success": true}\n', REPORT: "<html>", CARD: "---\nlanguage: [en]\n---\n"}


def make_rows(run_id: str, count: int, word: str = "kept") -> list[Row]:
    """``count`` rows, half of each pole, with texts of this run alone."""
    stamp = make_stamp(run_id)
    poles = ("positive", "negative")
    texts = [f"{word} text number {number} of the run {run_id}" for number in range(count)]
    return [
        make_row(make_exemplar(text, poles[number % 2], number // 2, odds=1.5), stamp, f"plan/{number // 2}")  # type: ignore[arg-type]
        for number, text in enumerate(texts)
    ]


def make_rejected(run_id: str) -> list[Row]:
    stamp = make_stamp(run_id)
    short = make_exemplar(f"rejected by {run_id}", index=90, reason="too_short")
    failed = make_exemplar(None, "negative", 91, reason="cell_failed")
    return [make_row(exemplar, stamp, None) for exemplar in (short, failed)]


def make_set(run_id: str = RUN, count: int = ROWS, status: Status = "attached", word: str = "kept") -> SampleSet:
    attached = status == "attached"
    return SampleSet(
        stamp=make_stamp(run_id),
        pool="train",
        status=status,
        plan_id="plan-1",
        kept=make_rows(run_id, count, word) if attached else [],
        rejected=make_rejected(run_id),
        documents=DOCUMENTS,
        versions={"exemplars": "0.1.0", "prompts": "abc"},
    )


def run_ids(count: int) -> list[str]:
    return [f"{number:08d}-0000-0000-0000-000000000000" for number in range(count)]


def read_files(folder: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def list_left_over(store: Path) -> list[str]:
    """Everything in and beside the store that is no part of a set."""
    inside = [str(path.relative_to(store)) for path in store.rglob("*")] if store.is_dir() else []
    beside = [path.name for path in store.parent.iterdir() if path.name != store.name]
    return [name for name in (*inside, *beside) if not name.startswith("handle=")]


def test_set_stands_where_the_contract_says_with_all_its_files(tmp_path: Path) -> None:
    stored = write_set(f"{tmp_path}/samples/", make_set())

    assert f"{tmp_path}/samples/handle=u22a8.test/pool=train/run={RUN}" == stored.folder
    assert {SAMPLES, REJECTED, VERDICT, REPORT, CARD, MANIFEST, *HASHES.values()} == set(read_files(stored.folder))
    assert stored.written
    assert f"{stored.folder}/{SAMPLES}" == stored.file(SAMPLES)
    assert DOCUMENTS[CARD] == Path(stored.file(CARD)).read_text()
    assert [] == list_left_over(tmp_path / "samples")


def test_rows_come_back_as_they_were_given(tmp_path: Path) -> None:
    given_set = make_set()
    stored = write_set(str(tmp_path / "samples"), given_set)
    rows = pq.ParquetFile(stored.file(SAMPLES)).read().to_pylist()

    assert [{name: value for name, value in row.items() if name != "reason"} for row in given_set.kept] == rows
    rejected = pq.ParquetFile(stored.file(REJECTED)).read().to_pylist()
    assert [dict(row) for row in given_set.rejected] == rejected
    assert ["too_short", "cell_failed"] == [row["reason"] for row in rejected]
    assert [None, None] == [rejected[1][name] for name in ("text", "content_sha256")]


def test_columns_are_those_of_the_design_in_its_order(tmp_path: Path) -> None:
    text = pa.string()
    required: list[tuple[str, pa.DataType]] = [
        ("id", pa.int64()),
        ("trait", text),
        ("text", text),
        ("quality", pa.float64()),
        ("pole", text),
        ("provenance", text),
        ("synth_type", text),
        ("effort", text),
        ("run_id", text),
        ("scenario", text),
        ("pair_id", text),
        ("seed_sha256", text),
        ("synth_model", text),
        ("prompt_sha256", text),
        ("attempt", pa.int16()),
        ("judge_votes", text),
        ("cost_usd", pa.float64()),
        ("content_sha256", text),
        ("created_at", pa.timestamp("us", tz="UTC")),
    ]
    nullable = {"pair_id", "seed_sha256", "judge_votes", "cost_usd"}
    expected = [(name, kind, name in nullable) for name, kind in required]
    stored = write_set(str(tmp_path / "samples"), make_set())
    samples, rejected = (pq.ParquetFile(stored.file(name)) for name in (SAMPLES, REJECTED))

    assert expected == [(field.name, field.type, field.nullable) for field in samples.schema_arrow]
    assert [*((name, kind, True) for name, kind in required), ("reason", text, True)] == [
        (field.name, field.type, field.nullable) for field in rejected.schema_arrow
    ]
    assert (SAMPLE_SCHEMA, REJECTED_SCHEMA) == (samples.schema_arrow, rejected.schema_arrow)
    columns = [samples.metadata.row_group(0).column(number) for number in range(samples.metadata.num_columns)]
    assert {"ZSTD"} == {column.compression for column in columns}


@pytest.mark.parametrize("column", [field.name for field in SAMPLE_SCHEMA])
def test_null_is_refused_where_the_schema_has_none(column: str) -> None:
    row = make_rows(RUN, 1)[0]
    row[column] = None  # type: ignore[literal-required]

    if SAMPLE_SCHEMA.field(column).nullable:
        assert [None] == make_sample_table([row])[column].to_pylist()
    else:
        with pytest.raises(pa.ArrowInvalid):
            make_sample_table([row])
    assert [None] == make_rejected_table([row])[column].to_pylist()


def test_row_says_what_the_exemplar_is() -> None:
    exemplar = replace(make_exemplar("Some text.", "negative", 3, odds=-1.23456), round_no=2, cost_usd=0.5)
    row = make_row(exemplar, make_stamp(), "plan/3")

    assert (0.0, "negative", "synthesized", 2, 0.5, "plan/3", None) == (
        row["quality"],
        row["pole"],
        row["provenance"],
        row["attempt"],
        row["cost_usd"],
        row["pair_id"],
        row["reason"],
    )
    assert 1.0 == make_row(make_exemplar("Some text."), make_stamp(), None)["quality"]
    assert hashlib.sha256(b"Some text.").hexdigest() == row["content_sha256"]
    assert ["subject", "audience", "form", "length"] == list(json.loads(row["scenario"]))
    assert [{"judge": "in_context", "odds": -1.2346}] == json.loads(row["judge_votes"] or "")
    assert None is make_row(make_exemplar("Some text."), make_stamp(), None)["judge_votes"]


texts = st.text(st.characters(codec="utf-8"))


@given(texts, texts, texts)
def test_id_is_53_bits_of_the_digest_and_stable(handle: str, trait: str, text: str) -> None:
    digest = hashlib.sha256("\0".join((handle, trait, text)).encode()).hexdigest()

    assert int(digest, 16) >> (256 - 53) == make_id(handle, trait, text) < 2**53


def test_id_tells_handle_trait_and_text_apart() -> None:
    ids = [make_id("a.b", "c", "d"), make_id("a.b", "c", "e"), make_id("a.b", "f", "d"), make_id("a.g", "c", "d")]

    assert 4 == len(set(ids))
    assert 2703480023069735 != make_id("a.b", "cd", "") != make_id("a.b", "c", "d")


def test_rows_stand_in_groups_that_a_page_can_be_read_from(tmp_path: Path) -> None:
    stored = write_set(str(tmp_path / "samples"), make_set(count=GROUP_ROWS + 1))
    metadata = pq.ParquetFile(stored.file(SAMPLES)).metadata

    assert [GROUP_ROWS, 1] == [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


def test_manifest_tells_the_truth_about_every_file(tmp_path: Path) -> None:
    stored = write_set(str(tmp_path / "samples"), make_set())
    files = read_files(stored.folder)
    manifest = json.loads(files.pop(MANIFEST))

    assert manifest == dict(stored.manifest)
    assert set(files) == set(manifest["files"])
    for name, content in files.items():
        entry = manifest["files"][name]
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry["sha256"], entry["bytes"])
    assert {SAMPLES: ROWS, REJECTED: 2, **dict.fromkeys(HASHES.values(), ROWS)} == {
        name: entry["rows"] for name, entry in manifest["files"].items() if entry["rows"] is not None
    }


def test_manifest_says_what_the_set_is(tmp_path: Path) -> None:
    manifest = write_set(str(tmp_path / "samples"), make_set()).manifest
    told = {name: manifest[name] for name in ("status", "run_id", "handle", "pool", "synth_type", "effort", "plan_id")}

    assert {
        "status": "attached",
        "run_id": RUN,
        "handle": "u22a8.test",
        "pool": "train",
        "synth_type": "from_traits",
        "effort": "low",
        "plan_id": "plan-1",
    } == told
    assert "2026-11-25T12:00:00+00:00" == manifest["created_at"]
    assert {"clarity": {"positive": ROWS // 2, "negative": ROWS // 2}} == manifest["counts"]
    assert {"exemplars": "0.1.0", "prompts": "abc"} == manifest["versions"]


def test_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_set(str(tmp_path / name), make_set()) for name in ("one", "other"))

    assert read_files(one.folder) == read_files(other.folder)


def test_plans_digest_does_not_change_with_the_run(tmp_path: Path) -> None:
    """Two runs of one plan agree in every column but two: so do their digests, and other rows have another one."""
    rows = make_rows(RUN, 4)
    sets = []
    for number, run_id in enumerate(run_ids(2)):
        kept = [Row(**{**row, "run_id": run_id}) for row in rows]
        sets.append(write_set(str(tmp_path / str(number)), replace(make_set(run_id), kept=kept)))
    other = write_set(str(tmp_path / "other"), make_set(count=6))

    assert digest_sets(sets)[:1] == digest_sets(sets)[1:]
    assert digest_sets(sets)[:1] != digest_sets([other])


def test_attached_set_stays_when_its_run_is_written_again(tmp_path: Path) -> None:
    first = write_set(str(tmp_path / "samples"), make_set())
    before = read_files(first.folder)
    again = write_set(str(tmp_path / "samples"), make_set(word="other"))
    failed = write_set(str(tmp_path / "samples"), make_set(status="rejected"))

    assert (False, False) == (again.written, failed.written)
    assert before == read_files(first.folder)
    assert first.manifest == again.manifest == failed.manifest
    assert [] == list_left_over(tmp_path / "samples")


def test_failed_set_keeps_its_documents_and_has_no_samples(tmp_path: Path) -> None:
    store = str(tmp_path / "samples")
    stored = write_set(store, make_set(status="rejected"))

    assert {REJECTED, VERDICT, REPORT, CARD, MANIFEST} == set(read_files(stored.folder))
    assert ("rejected", {}) == (stored.manifest["status"], stored.manifest["counts"])
    assert 2 == stored.manifest["files"][REJECTED]["rows"]
    assert [] == list_sets(store, "u22a8.test", "train")


@pytest.mark.parametrize("status", ["attached", "rejected"])
def test_failed_set_makes_room_for_the_next_one_of_its_run(tmp_path: Path, status: Status) -> None:
    store = str(tmp_path / "samples")
    write_set(store, make_set(status="rejected"))
    stored = write_set(store, replace(make_set(status=status), plan_id="plan-2"))

    assert stored.written
    assert (status, "plan-2") == (stored.manifest["status"], stored.manifest["plan_id"])
    assert (status == "attached") == (SAMPLES in read_files(stored.folder))
    assert [] == list_left_over(tmp_path / "samples")


def put_half_a_set(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / SAMPLES).write_bytes(b"PAR1 and no more")


def put_empty_folder(folder: Path) -> None:
    folder.mkdir(parents=True)


def put_file(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("a file")


@pytest.mark.parametrize("put", [put_half_a_set, put_empty_folder, put_file])
def test_debris_of_the_run_makes_room(tmp_path: Path, put: Callable[[Path], None]) -> None:
    folder = locate_set(str(tmp_path / "samples"), "u22a8.test", "train", RUN)
    put(Path(folder))
    assert [] == list_sets(str(tmp_path / "samples"), "u22a8.test", "train")
    stored = write_set(str(tmp_path / "samples"), make_set())

    assert stored.written
    assert {SAMPLES, REJECTED, VERDICT, REPORT, CARD, MANIFEST, *HASHES.values()} == set(read_files(folder))
    assert [] == list_left_over(tmp_path / "samples")


@pytest.mark.parametrize("before", [None, "rejected"])
def test_twenty_processes_that_write_one_run_leave_one_whole_set(tmp_path: Path, before: Status | None) -> None:
    store = tmp_path / "samples"
    if before:
        write_set(str(store), make_set(status=before))
    sets = [make_set(word=f"writer{number}") for number in range(20)]
    # Not forked from here, where threads of earlier tests may hold locks; a writer that dies is an error at once.
    context = get_context("forkserver")
    context.set_forkserver_preload(["engine.store.store"])
    with ProcessPoolExecutor(20, context) as pool:
        written = list(pool.map(write_set, [str(store)] * 20, sets))

    assert 1 == sum(stored.written for stored in written)
    [stored] = list_sets(str(store), "u22a8.test", "train")
    assert 1 == len({row["text"].split()[0] for row in pq.ParquetFile(stored.file(SAMPLES)).read().to_pylist()})
    files = read_files(stored.folder)
    for name, entry in stored.manifest["files"].items():
        assert entry["sha256"] == hashlib.sha256(files[name]).hexdigest()
    assert [] == list_left_over(store)


def test_twenty_threads_that_write_their_own_runs_leave_twenty_sets(tmp_path: Path) -> None:
    store = str(tmp_path / "samples")
    with ThreadPoolExecutor(20) as pool:
        stored = list(pool.map(lambda run_id: write_set(store, make_set(run_id, 4)), run_ids(20)))

    assert all(item.written for item in stored)
    assert sorted(item.folder for item in stored) == [item.folder for item in list_sets(store, "u22a8.test", "train")]
    assert [] == list_left_over(tmp_path / "samples")


def read_with_pandas(store: Path) -> "pd.Series[str]":
    return pd.read_parquet(store)["run_id"]


def read_with_dataset(store: Path) -> "pd.Series[str]":
    table = ds.dataset(str(store), format="parquet", partitioning="hive").to_table(columns=["run_id"])
    return table.to_pandas()["run_id"]  # type: ignore[no-any-return]


def read_with_duckdb(store: Path) -> "pd.Series[str]":
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT run_id FROM read_parquet('{store}/**/samples.parquet')").fetchall()
    return pd.Series([row[0] for row in rows])


READERS: dict[str, Callable[[Path], "pd.Series[str]"]] = {
    "pandas": read_with_pandas,
    "dataset": read_with_dataset,
    "duckdb": read_with_duckdb,
}


def watch(store: Path, reader: Callable[[Path], "pd.Series[str]"], write: Callable[[], None]) -> list[dict[str, int]]:
    """The rows by run id that a reader saw, again and again, while ``write`` was at work, and once after it."""
    seen: list[dict[str, int]] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(dict(reader(store).value_counts()))

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            write()
        finally:
            done.set()
        looking.result()
    return [*seen, dict(reader(store).value_counts())]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@longer
def test_reader_never_meets_half_a_set_nor_other_rows(
    tmp_path: Path, reader: Callable[[Path], "pd.Series[str]"]
) -> None:
    store = tmp_path / "samples"
    ids = run_ids(COMMITS)
    write_set(str(store), make_set(ids[0]))

    def write() -> None:
        for run_id in ids[1:]:
            write_set(str(store), make_set(run_id, status="rejected"))
            write_set(str(store), make_set(run_id))

    seen = watch(store, reader, write)

    assert {ROWS} == {count for counts in seen for count in counts.values()}
    assert dict.fromkeys(ids, ROWS) == seen[-1]
    sizes = [len(counts) for counts in seen]
    assert sorted(sizes) == sizes
    assert len(set(sizes)) > 2, "the reader has to look while sets come in"


@longer
def test_listing_never_meets_half_a_set(tmp_path: Path) -> None:
    store = tmp_path / "samples"
    ids = run_ids(COMMITS)

    def list_rows(_: Path) -> "pd.Series[str]":
        sets = list_sets(str(store), "u22a8.test", "train")
        return pd.Series([sample.text.split()[-1] for sample in read_attached(sets)], dtype="str")

    def write() -> None:
        for run_id in ids:
            write_set(str(store), make_set(run_id))

    seen = watch(store, list_rows, write)

    assert {ROWS} == {count for counts in seen for count in counts.values()}
    assert dict.fromkeys(ids, ROWS) == seen[-1]


@contextmanager
def mount_small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own in the store's place; skips where one cannot be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "exemplars-test", str(folder)]
    may_mount = os.geteuid() == 0 and shutil.which("mount") is not None
    if not may_mount or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs root, and leave to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with mount_small_disk(tmp_path / "samples", "128k") as store:
        write_set(str(store), make_set(run_ids(1)[0], 4))
        big = replace(make_set(), documents={REPORT: "x" * 100_000})
        with pytest.raises(StoreError, match="No space left on device"):
            write_set(str(store), big)

        assert [] == list_left_over(store)
        assert 1 == len(list_sets(str(store), "u22a8.test", "train"))
        assert not Path(locate_set(str(store), "u22a8.test", "train", RUN)).exists()
        write_set(str(store), make_set(count=4))
        assert 2 == len(list_sets(str(store), "u22a8.test", "train"))
        assert [] == list_left_over(store)


def read_again_where_a_file_was_moved(store: Path) -> "pd.Series[str]":
    """On a mount of its own a set lies inside the store for the moment before its move, and DuckDB looks everywhere."""
    while True:
        try:
            return read_with_duckdb(store)
        except duckdb.IOException as error:
            if "No such file" not in str(error):
                raise


@pytest.mark.parametrize("reader", [read_with_pandas, read_with_dataset, read_again_where_a_file_was_moved])
def test_store_that_is_a_mount_of_its_own_shows_no_half_set_either(
    tmp_path: Path, reader: Callable[[Path], "pd.Series[str]"]
) -> None:
    with mount_small_disk(tmp_path / "samples", "16m") as store:
        ids = run_ids(15)
        write_set(str(store), make_set(ids[0]))

        def write() -> None:
            for run_id in ids[1:]:
                write_set(str(store), make_set(run_id))

        seen = watch(store, reader, write)
        assert {ROWS} == {count for counts in seen for count in counts.values()}
        assert dict.fromkeys(ids, ROWS) == seen[-1]
        assert [] == list_left_over(store)


def test_full_disk_says_what_to_do(tmp_path: Path) -> None:
    with mount_small_disk(tmp_path / "samples", "64k") as store:
        (store / "filler").write_bytes(b"x" * 62_000)
        for attempt in (lambda: check_writable(str(store)), lambda: write_set(str(store), make_set())):
            with pytest.raises(StoreError) as caught:
                attempt()
            for part in (str(store), "No space left", "EXEMPLARS_SAMPLES_URI", "replies are not lost"):
                assert part in str(caught.value)


@pytest.mark.parametrize("place", ["samples", "samples/handle=u22a8.test", "samples/handle=u22a8.test/pool=train"])
def test_file_in_the_way_is_an_error_and_leaves_nothing(tmp_path: Path, place: str) -> None:
    blocked = tmp_path / place
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file")
    with pytest.raises(StoreError, match="EXEMPLARS_SAMPLES_URI"):
        write_set(str(tmp_path / "samples"), make_set())

    assert [] == list_left_over(tmp_path / "samples")
    assert "a file" == blocked.read_text()


def test_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    put_file(tmp_path / "samples" / "handle=u22a8.test" / "pool=train")
    with pytest.raises(StoreError, match="EXEMPLARS_SAMPLES_URI"):
        list_sets(str(tmp_path / "samples"), "u22a8.test", "train")


def test_null_in_a_kept_row_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    [row] = make_rows(RUN, 1)
    row["text"] = None
    with pytest.raises(pa.ArrowInvalid):
        write_set(str(tmp_path / "samples"), replace(make_set(), kept=[row]))

    assert [] == list(tmp_path.iterdir())


def test_store_is_tried_before_anything_is_paid_for(tmp_path: Path) -> None:
    check_writable(str(tmp_path / "new" / "samples"))
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StoreError, match="EXEMPLARS_SAMPLES_URI"):
        check_writable(str(tmp_path / "file"))
    with pytest.raises(StoreError, match="s3://"):
        check_writable("nowhere://bucket/samples")

    assert [] == list((tmp_path / "new" / "samples").iterdir())


def test_store_is_asked_whether_it_can_be_written_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    before = sorted(tmp_path.rglob("*"))
    check_writable(str(tmp_path / "new" / "samples"), probe=False)
    for place in (tmp_path / "file", tmp_path / "file" / "samples"):
        with pytest.raises(StoreError, match="Not a directory"):
            check_writable(str(place), probe=False)

    assert before == sorted(tmp_path.rglob("*"))


def test_disk_that_takes_no_files_is_told_without_trying_it(tmp_path: Path) -> None:
    with mount_disk(tmp_path / "disk", "ro,size=16k") as disk, pytest.raises(StoreError, match="Permission denied"):
        check_writable(str(disk / "samples"), probe=False)


def test_sets_are_listed_in_the_order_of_their_creation(tmp_path: Path) -> None:
    store = str(tmp_path / "samples")
    start = datetime(2026, 11, 25, 12, tzinfo=UTC)
    later = [timedelta(), timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=1)]
    for run_id, age in zip(run_ids(4), reversed(later), strict=True):
        given_set = make_set(run_id, 2)
        write_set(store, replace(given_set, stamp=replace(given_set.stamp, created_at=start + age)))
    ties = make_set("a" * 8, 2)
    write_set(store, ties)

    expected = [run_ids(4)[3], "a" * 8, *run_ids(3)[::-1]]
    assert expected == [stored.manifest["run_id"] for stored in list_sets(store, "u22a8.test", "train")]


def test_only_attached_sets_of_the_handle_and_pool_are_listed(tmp_path: Path) -> None:
    store = str(tmp_path / "samples")
    ids = run_ids(5)
    write_set(store, make_set(ids[0], 2))
    write_set(store, make_set(ids[1], status="rejected"))
    write_set(store, replace(make_set(ids[2], 2), pool="eval"))
    other = make_set(ids[3], 2)
    write_set(store, replace(other, stamp=replace(other.stamp, handle="u22a8.other")))
    put_half_a_set(Path(locate_set(store, "u22a8.test", "train", ids[4])))
    (Path(locate_set(store, "u22a8.test", "train", ids[0])).parent / "notes").mkdir()

    listed = list_sets(store, "u22a8.test", "train")
    assert [ids[0]] == [stored.manifest["run_id"] for stored in listed]
    assert not listed[0].written
    assert [ids[2]] == [stored.manifest["run_id"] for stored in list_sets(store, "u22a8.test", "eval")]
    assert [] == list_sets(store, "u22a8.nobody", "train")
    assert [] == list_sets(str(tmp_path / "nowhere"), "u22a8.test", "train")


def test_attached_samples_come_back_in_order(tmp_path: Path) -> None:
    store = str(tmp_path / "samples")
    for run_id in run_ids(2):
        write_set(store, make_set(run_id, 2))
    samples = read_attached(list_sets(store, "u22a8.test", "train"))

    assert [
        Attached(
            "clarity",
            f"kept text number {number} of the run {run_id}",
            1.0 - number,
            "rotating a key",
            pair_id="plan/0",
        )
        for run_id in run_ids(2)
        for number in range(2)
    ] == list(samples)
    assert () == read_attached([])


SPOIL: dict[str, Callable[[Path], object]] = {
    "the file is gone": Path.unlink,
    "Parquet magic bytes not found": lambda path: path.write_bytes(b"no parquet, of any length"),
    'Field "scenario" does not exist': lambda path: pd.read_parquet(path).drop(columns="scenario").to_parquet(path),
    "a row without a trait or a text": lambda path: pd.read_parquet(path).assign(text=None).to_parquet(path),
    "Expecting value": lambda path: pd.read_parquet(path).assign(scenario="").to_parquet(path),
}


@pytest.mark.parametrize("why", SPOIL)
def test_set_whose_samples_cannot_be_read_is_named_with_the_commands_that_help(tmp_path: Path, why: str) -> None:
    store = str(tmp_path / "samples")
    stored = write_set(store, make_set())
    path = Path(stored.file(SAMPLES))
    SPOIL[why](path)
    with pytest.raises(StoreError) as caught:
        read_attached(list_sets(store, "u22a8.test", "train"))

    for part in (str(path), why, f"`exemplars detach {RUN}`"):
        assert part in str(caught.value)
    assert "space" not in str(caught.value)
    assert detach_stored(stored)
    assert () == read_attached(list_sets(store, "u22a8.test", "train"))


def test_samples_that_were_altered_count_as_they_are_and_are_named(tmp_path: Path) -> None:
    store = str(tmp_path / "samples")
    path = Path(write_set(store, make_set()).file(SAMPLES))
    before = read_pools(store, make_model())
    pd.read_parquet(path).head(1).to_parquet(path)
    after = read_pools(store, make_model())

    assert ((), ROWS) == (before.altered_runs, len(before.attached))
    assert ((RUN,), 1) == (after.altered_runs, len(after.attached))
    assert before.attached_digests == after.attached_digests


def test_manifest_that_is_not_json_is_an_error(tmp_path: Path) -> None:
    store = str(tmp_path / "samples")
    stored = write_set(store, make_set())
    assert None is read_manifest(f"{stored.folder}-other")
    Path(stored.file(MANIFEST)).write_text("{")
    with pytest.raises(StoreError, match=RUN):
        list_sets(store, "u22a8.test", "train")


def read_header(card: str) -> dict[str, Any]:
    _, header, _ = card.split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(header)
    return found


@pytest.mark.parametrize(
    ("rows", "size"), [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (10_000, "10K<n<100K"), (1_000_000, "n>1M")]
)
def test_card_opens_with_a_header_that_the_hub_reads(rows: int, size: str) -> None:
    counts: dict[Any, int] = {("clarity", "positive"): 1, ("clarity", "negative"): 1}
    kept = make_rows(RUN, 2)[:1] * rows
    card = render_card(make_model(), make_stamp(), kept, counts, "openai/test", Language(), "8 attached.")
    header = read_header(card)
    config = {"config_name": "default", "data_files": [{"split": "train", "path": "../samples.parquet"}]}

    assert card.startswith("---\n")
    assert {
        "pretty_name": "u22a8.test, synthesized samples",
        "license": "unknown",
        "language": ["en"],
        "task_categories": ["text-classification"],
        "size_categories": [size],
        "tags": ["synthetic", "exemplars"],
        "configs": [config],
    } == header


def test_card_shows_counts_texts_and_columns_and_no_word_of_it_breaks_the_header() -> None:
    model = make_model(
        make_trait(name="A: b", positive_label="---", description="--- # %"),
        description="---\n: {",
        additional_terms=("Do not resell.",),
        upstream_sources=("Our own.",),
    )
    rows = make_rows(RUN, 8)
    rows[0]["text"] = "--- first\nsecond: {{ third }} <b>"
    counts: dict[Any, int] = {("clarity", "positive"): 4, ("clarity", "negative"): 3}
    card = render_card(model, make_stamp(), rows, counts, "openai/test", Language(), "8 attached.")

    assert ["en"] == read_header(card)["language"]
    assert "| `clarity` | --- | 4 | Obscure | 3 |" in card
    assert "> --- first second: {{ third }} \\<b>" in card
    assert 6 == card.count("\n> ")
    for field in SAMPLE_SCHEMA:
        assert f"- `{field.name}`: {field.type}" in card
    for part in (f"run `{RUN}`", "8 attached.", "`openai/test`", "- Do not resell.", "- Our own."):
        assert part in card
