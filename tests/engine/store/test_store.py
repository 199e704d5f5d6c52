"""A set enters the store in one move or not at all, and what stands there is what was given, to the byte."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.long import choose, longer
from fakes.store_writers import SECONDS, open_pool
from fakes.stored import HANDLE, NOON, attach_set, read_files
from fakes.workspace import mount_disk

from engine.domain.model import Attached
from engine.domain.samples import REJECTED_SCHEMA, SAMPLE_SCHEMA, Row, make_id, make_row, make_sample_table
from engine.errors import StoreError
from engine.store.changes import detach_set
from engine.store.commit import STAGING
from engine.store.index.rows import read_attached
from engine.store.index.samples import open_samples
from engine.store.layout import CARD, HASHES, MANIFEST, REJECTED, REPORT, SAMPLES, VERDICT
from engine.store.sample_set import GROUP_ROWS, SampleSet, Status, read_manifest, write_parquet
from engine.store.store import PROBE, check_writable, digest_sets, list_sets, locate_set, write_set

RUN = "11111111-1111-1111-1111-111111111111"
ROWS = 40
DOCUMENTS = {VERDICT: '{"success": true}\n', REPORT: "<html>", CARD: "---\nlanguage: [en]\n---\n"}
# Of the design, in its order; those with a question mark may be null.
COLUMNS = """
id:int64 trait:string text:string quality:double pole:string provenance:string synth_type:string effort:string
run_id:string scenario:string pair_id:string? seed_sha256:string? synth_model:string prompt_sha256:string attempt:int16
judge_votes:string? cost_usd:double? content_sha256:string created_at:timestamp[us,tz=UTC]
"""


def make_rows(run_id: str, count: int, word: str = "kept") -> list[Row]:
    """``count`` rows, half of each pole, with texts of this run alone."""
    texts = [f"{word} text number {number} of the run {run_id}" for number in range(count)]
    return [
        make_row(
            make_exemplar(text, "negative" if number % 2 else "positive", number // 2, odds=1.5),
            make_stamp(run_id),
            f"plan/{number // 2}",
        )
        for number, text in enumerate(texts)
    ]


def make_set(run_id: str = RUN, count: int = ROWS, status: Status = "attached", word: str = "kept") -> SampleSet:
    stamp = make_stamp(run_id)
    short = make_exemplar(f"rejected by {run_id}", index=90, reason="too_short")
    failed = make_exemplar(None, "negative", 91, reason="cell_failed")
    return SampleSet(
        stamp=stamp,
        pool="train",
        status=status,
        plan_id="plan-1",
        kept=make_rows(run_id, count, word) if status == "attached" else [],
        rejected=[make_row(exemplar, stamp, None) for exemplar in (short, failed)],
        documents=DOCUMENTS,
        versions={"exemplars": "0.1.0", "prompts": "abc"},
    )


def list_left_over(store: Path) -> list[str]:
    """Everything in and beside the store that is no part of a set."""
    inside = [str(path.relative_to(store)) for path in store.rglob("*")] if store.is_dir() else []
    beside = [path.name for path in store.parent.iterdir() if path.name != store.name]
    return [name for name in (*inside, *beside) if not name.startswith("handle=")]


def test_set_stands_where_the_contract_says_and_its_manifest_tells_the_truth_about_every_file(tmp_path: Path) -> None:
    given_set = make_set()
    stored = write_set(f"{tmp_path}/samples/", given_set)
    files = read_files(stored.folder)
    rows, rejected = (pq.ParquetFile(stored.file(name)).read().to_pylist() for name in (SAMPLES, REJECTED))
    manifest = json.loads(files.pop(MANIFEST))

    assert f"{tmp_path}/samples/handle={HANDLE}/pool=train/run={RUN}" == stored.folder
    assert {SAMPLES, REJECTED, VERDICT, REPORT, CARD, HASHES} == set(files) == set(manifest["files"])
    assert (True, []) == (stored.written, list_left_over(tmp_path / "samples"))
    assert DOCUMENTS[CARD] == files[CARD].decode()
    assert [
        {name: value for name, value in row.items() if name in SAMPLE_SCHEMA.names} for row in given_set.kept
    ] == rows
    assert [dict(row) for row in given_set.rejected] == rejected
    assert manifest == dict(stored.manifest)
    for name, content in files.items():
        entry = manifest["files"][name]
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry["sha256"], entry["bytes"])
    assert {SAMPLES: ROWS, REJECTED: 2, HASHES: ROWS} == {
        name: entry["rows"] for name, entry in manifest["files"].items() if entry["rows"] is not None
    }
    told = {
        **{"status": "attached", "run_id": RUN, "handle": HANDLE, "pool": "train", "plan_id": "plan-1"},
        **{"synth_type": "from_traits", "effort": "low", "created_at": "2026-11-25T12:00:00+00:00"},
        "counts": {"clarity": {"positive": ROWS // 2, "negative": ROWS // 2}},
        "versions": {"exemplars": "0.1.0", "prompts": "abc"},
    }
    assert told == {name: manifest[name] for name in told}


def test_columns_are_those_of_the_design_in_its_order(tmp_path: Path) -> None:
    stored = write_set(str(tmp_path / "samples"), make_set())
    samples, rejected = (pq.ParquetFile(stored.file(name)) for name in (SAMPLES, REJECTED))
    described = [f"{field.name}:{field.type}".replace(" ", "") + "?" * field.nullable for field in samples.schema_arrow]

    assert COLUMNS.split() == described
    more = [pa.field("reason", pa.string()), pa.field("detail", pa.string())]
    assert [(field.name, field.type, True) for field in [*SAMPLE_SCHEMA, *more]] == [
        (field.name, field.type, field.nullable) for field in rejected.schema_arrow
    ]
    assert (SAMPLE_SCHEMA, REJECTED_SCHEMA) == (samples.schema_arrow, rejected.schema_arrow)
    columns = [samples.metadata.row_group(0).column(number) for number in range(samples.metadata.num_columns)]
    assert {"ZSTD"} == {column.compression for column in columns}


def test_row_says_what_the_exemplar_is() -> None:
    exemplar = replace(make_exemplar("Some text.", "negative", 3, odds=-1.23456), round_no=2, cost_usd=0.5)
    row = make_row(exemplar, make_stamp(), "plan/3")
    plain = make_row(make_exemplar("Some text."), make_stamp(), None)
    names = ("quality", "pole", "provenance", "attempt", "cost_usd", "pair_id", "reason")

    assert [0.0, "negative", "synthesized", 2, 0.5, "plan/3", None] == [row[name] for name in names]
    assert (1.0, None) == (plain["quality"], plain["judge_votes"])
    assert hashlib.sha256(b"Some text.").hexdigest() == row["content_sha256"]
    assert ["subject", "audience", "form", "length"] == list(json.loads(row["scenario"]))
    assert [{"judge": "in_context", "odds": -1.2346}] == json.loads(row["judge_votes"] or "")


def test_id_is_53_bits_of_the_digest_of_handle_trait_and_text() -> None:
    digest = hashlib.sha256("a.b\0c\0Grüße".encode()).hexdigest()
    others = [("a.b", "c", "e"), ("a.b", "f", "d"), ("a.g", "c", "d"), ("a.b", "cd", ""), ("a.b", "c", "d")]

    assert int(digest, 16) >> (256 - 53) == make_id("a.b", "c", "Grüße") < 2**53
    assert len(others) == len({make_id(*other) for other in others})


def test_rows_stand_in_groups_that_a_page_can_be_read_from() -> None:
    content = write_parquet(make_sample_table(make_rows(RUN, 1) * (GROUP_ROWS + 1)))
    metadata = pq.ParquetFile(pa.BufferReader(content)).metadata

    assert [GROUP_ROWS, 1] == [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


def test_same_rows_give_the_same_bytes_and_their_digest_does_not_change_with_the_run(tmp_path: Path) -> None:
    one, same = (write_set(str(tmp_path / name), make_set(count=4)) for name in ("one", "same"))
    kept = [Row(**{**row, "run_id": "other"}) for row in make_rows(RUN, 4)]
    other_run = write_set(str(tmp_path / "other-run"), replace(make_set("other"), kept=kept))
    other_rows = write_set(str(tmp_path / "other-rows"), make_set(count=6))
    digests = digest_sets([one, other_run, other_rows])

    files, others = ({**read_files(stored.folder), MANIFEST: b""} for stored in (one, same))
    assert files == others
    manifest = same.manifest
    changed = {name for name in manifest if one.manifest[name] != manifest[name]}
    assert {"attached_ns", "written_ns", "manifest_sha256"} == changed
    assert digests[0] == digests[1] != digests[2]


def test_attached_set_stays_when_its_run_is_written_again(tmp_path: Path) -> None:
    first = write_set(str(tmp_path / "samples"), make_set())
    before = read_files(first.folder)
    again = write_set(str(tmp_path / "samples"), make_set(word="other"))
    failed = write_set(str(tmp_path / "samples"), make_set(status="rejected"))

    assert (False, False) == (again.written, failed.written)
    assert before == read_files(first.folder)
    assert first.manifest == again.manifest == failed.manifest
    assert [] == list_left_over(tmp_path / "samples")


def put_debris(folder: Path, kind: str) -> None:
    """Half a set, or a file in its place."""
    place = folder / SAMPLES if kind == "half a set" else folder
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"PAR1 and no more")


@pytest.mark.parametrize("before", ["rejected", "half a set", "a file"])
@pytest.mark.parametrize("status", ["attached", "rejected"])
def test_what_is_no_attached_set_makes_room_for_the_next_one_of_its_run(
    tmp_path: Path, before: str, status: Status
) -> None:
    store = tmp_path / "samples"
    if before == "rejected":
        write_set(str(store), make_set(status="rejected"))
    else:
        put_debris(Path(locate_set(str(store), HANDLE, "train", RUN)), before)
    assert [] == list_sets(str(store), HANDLE, "train")
    stored = write_set(str(store), replace(make_set(status=status), plan_id="plan-2"))
    own = {SAMPLES, HASHES} if status == "attached" else set()

    assert stored.written
    assert (status, "plan-2") == (stored.manifest["status"], stored.manifest["plan_id"])
    assert 2 == stored.manifest["files"][REJECTED]["rows"]
    assert (status == "rejected") == (stored.manifest["counts"] == {})
    assert {REJECTED, VERDICT, REPORT, CARD, MANIFEST} | own == set(read_files(stored.folder))
    assert [] == list_left_over(store)


@longer
def test_twenty_processes_that_write_one_run_leave_one_whole_set(tmp_path: Path) -> None:
    sets = [make_set(word=f"writer{number}") for number in range(20)]
    with open_pool(20) as pool:
        # In each of the stores but the first, a rejected set of the run makes room.
        for store in (tmp_path / str(number) / "samples" for number in range(choose(once=2, at_length=20))):
            if store.parent.name != "0":
                write_set(str(store), make_set(status="rejected"))
            written = list(pool.map(write_set, [str(store)] * 20, sets, timeout=SECONDS))

            assert 1 == sum(stored.written for stored in written)
            [stored] = list_sets(str(store), HANDLE, "train")
            assert 1 == len({row["text"].split()[0] for row in pq.ParquetFile(stored.file(SAMPLES)).read().to_pylist()})
            files = read_files(stored.folder)
            for name, entry in stored.manifest["files"].items():
                assert entry["sha256"] == hashlib.sha256(files[name]).hexdigest()
            assert [] == list_left_over(store)


def test_attached_sets_and_their_samples_come_in_the_order_of_their_creation(tmp_path: Path) -> None:
    store = str(tmp_path / "samples")
    made = make_set(count=2)
    later = {"d": timedelta(days=1), "c": timedelta(seconds=1), "b": timedelta(microseconds=1)}
    for run_id in ("d", "c", "b", "aa", "a"):
        stamp = replace(made.stamp, run_id=run_id, created_at=NOON + later.get(run_id, timedelta()))
        write_set(store, replace(made, stamp=stamp, kept=make_rows(run_id, 2)))
    write_set(store, make_set("failed", status="rejected"))
    write_set(store, replace(make_set("held-out", 2), pool="eval"))
    write_set(store, replace(made, stamp=replace(made.stamp, handle="u22a8.other")))
    put_debris(Path(locate_set(store, HANDLE, "train", "half")), "half a set")
    (Path(locate_set(store, HANDLE, "train", "notes")).parent / "notes").mkdir()
    listed = list_sets(store, HANDLE, "train")

    assert ["a", "aa", "b", "c", "d"] == [stored.run_id for stored in listed if not stored.written]
    assert ["held-out"] == [stored.run_id for stored in list_sets(store, HANDLE, "eval")]
    assert [] == list_sets(store, "u22a8.nobody", "train") == list_sets(str(tmp_path / "nowhere"), HANDLE, "train")
    assert [
        Attached("clarity", row["text"] or "", 1.0 - number, "rotating a key", pair_id="plan/0")
        for stored in listed
        for number, row in enumerate(make_rows(stored.run_id, 2))
    ] == list(read_attached(listed))


def test_set_has_the_moment_of_its_commit_and_keeps_it(tmp_path: Path) -> None:
    attach_set(tmp_path, "a", status="rejected")
    before = time.time_ns()
    moment = attach_set(tmp_path, "a").manifest["attached_ns"]

    assert before <= moment <= time.time_ns()
    attach_set(tmp_path, "b")
    assert moment == attach_set(tmp_path, "a").manifest["attached_ns"]
    sets = list_sets(f"{tmp_path}/", HANDLE, "train")
    assert [("a", moment), "b"] == [(sets[0].run_id, sets[0].manifest["attached_ns"]), sets[1].run_id]


SPOIL: dict[str, Callable[[Path], object]] = {
    "the file is gone": Path.unlink,
    "Parquet magic bytes not found": lambda path: path.write_bytes(b"no parquet, of any length"),
    "not what the manifest says": lambda path: pd.read_parquet(path).head(1).to_parquet(path),
}


@pytest.mark.parametrize("why", SPOIL)
def test_set_whose_samples_cannot_be_read_is_named_with_the_command_that_helps(tmp_path: Path, why: str) -> None:
    store = str(tmp_path / "samples")
    stored = write_set(store, make_set(count=4))
    SPOIL[why](Path(stored.file(SAMPLES)))
    with pytest.raises(StoreError) as caught:
        open_samples(list_sets(store, HANDLE, "train"))

    assert [] == [part for part in (SAMPLES, why, f"`exemplars detach {RUN}`") if part not in str(caught.value)]
    detach_set(stored)
    assert 0 == len(open_samples(list_sets(store, HANDLE, "train")))


def test_store_that_is_a_mount_takes_sets_and_shows_nobody_what_is_on_its_way(tmp_path: Path) -> None:
    """There a set lies inside the store for the moment before its move."""
    with mount_disk(tmp_path / "samples", "size=16m") as store:
        write_set(str(store), make_set(status="rejected"))
        stored = write_set(str(store), make_set())
        assert [] == list_left_over(store)
        (store / f"{STAGING}left").mkdir()
        (store / f"{STAGING}left" / SAMPLES).write_bytes(Path(stored.file(SAMPLES)).read_bytes())
        assert {RUN: ROWS} == dict(pd.read_parquet(store)["run_id"].value_counts())


@pytest.mark.parametrize("place", ["samples", f"samples/handle={HANDLE}/pool=train"])
def test_file_in_the_way_is_an_error_and_leaves_nothing(tmp_path: Path, place: str) -> None:
    blocked = tmp_path / place
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file")
    with pytest.raises(StoreError, match="EXEMPLARS_SAMPLES_URI"):
        write_set(str(tmp_path / "samples"), make_set())

    assert [] == list_left_over(tmp_path / "samples")
    assert "a file" == blocked.read_text()


def test_folder_or_manifest_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    put_debris(Path(locate_set(str(tmp_path), HANDLE, "eval", RUN)).parent, "a file")
    with pytest.raises(StoreError, match="EXEMPLARS_SAMPLES_URI"):
        list_sets(str(tmp_path), HANDLE, "eval")
    stored = write_set(str(tmp_path), make_set(count=2))
    assert None is read_manifest(f"{stored.folder}-other")
    Path(stored.file(MANIFEST)).write_text("{")
    with pytest.raises(StoreError, match=RUN):
        list_sets(str(tmp_path), HANDLE, "train")


def test_store_is_tried_before_anything_is_paid_for_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for place, said in ((f"{tmp_path}/file", "EXEMPLARS_SAMPLES_URI"), ("nowhere://bucket/samples", "s3://")):
        with pytest.raises(StoreError, match=said):
            check_writable(place)
    refused = pytest.raises(StoreError, match="Read-only file system")
    with mount_disk(tmp_path / "disk", "ro,size=16k") as disk, refused:
        check_writable(str(disk / "samples"))
    with mount_disk(tmp_path / "full", "size=4k") as disk:
        (disk / "filler").write_bytes(b"x" * 4096)
        with pytest.raises(StoreError, match="No space"):
            check_writable(str(disk))
        assert [disk / "filler"] == list(disk.iterdir())
    check_writable(str(tmp_path / "new" / "samples"))

    assert (tmp_path / "new").exists()
    assert [] == list(tmp_path.rglob(f"*{PROBE}*"))
