"""The tally of a store is the sum of its manifests, each read once, on a local disk and in an object store."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.s3 import S3
from fakes.stored import HANDLE, attach_set
from pyarrow import fs

from engine.domain.samples import make_row
from engine.errors import StoreError
from engine.listing.statistics import SetGroup, SetTotals, count_store
from engine.store.detach import detach_set
from engine.store.layout import MANIFEST, VERDICT
from engine.store.sample_set import SampleSet
from engine.store.store import write_set

TRAIN = SetGroup("u22a8", "train", "from_traits", "low", "attached")
REJECTED = replace(TRAIN, status="rejected")


def write_rejected(samples_uri: str, run_id: str, rows: int, usd: float | None) -> None:
    stamp = replace(make_stamp(run_id), handle=HANDLE)
    made = (make_exemplar(f"{run_id} {number}", "positive", number, reason="too_short") for number in range(rows))
    rejected = [make_row(exemplar, stamp, None) for exemplar in made]
    documents = {VERDICT: json.dumps({"cost": {"usd": usd}})}
    write_set(samples_uri, SampleSet(stamp, "train", "rejected", "plan", [], rejected, documents, {}))


def test_sums_are_those_of_the_sets_by_group(tmp_path: Path) -> None:
    attach_set(tmp_path, "a", count=4)
    attach_set(tmp_path, "b", count=6, traits=("clarity", "safety"))
    attach_set(tmp_path, "c", count=2, pool="eval")
    write_rejected(str(tmp_path), "d", rows=3, usd=0.25)
    write_rejected(str(tmp_path), "e", rows=2, usd=None)
    fs.copy_files(str(tmp_path / f"handle={HANDLE}/pool=train/run=a"), str(tmp_path / "elsewhere"))
    tally = count_store(str(tmp_path))

    assert {
        TRAIN: SetTotals(2, 10, 0, 0.0),
        replace(TRAIN, pool="eval"): SetTotals(1, 2, 0, 0.0),
        REJECTED: SetTotals(2, 0, 5, 0.25),
    } == tally.groups
    assert 0 == tally.unreadable
    assert {} == count_store(str(tmp_path / "nowhere")).groups


def test_set_that_comes_or_is_detached_is_counted_anew_and_one_that_has_not_changed_is_not_read(tmp_path: Path) -> None:
    first = attach_set(tmp_path, "a", count=4)
    assert {TRAIN: SetTotals(1, 4)} == count_store(str(tmp_path)).groups

    manifest = Path(first.file(MANIFEST))
    whole, before = manifest.read_bytes(), manifest.stat()
    manifest.write_bytes(b"x" * before.st_size)
    os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert {TRAIN: SetTotals(1, 4)} == count_store(str(tmp_path)).groups

    manifest.write_bytes(whole)
    attach_set(tmp_path, "b", count=6)
    assert {TRAIN: SetTotals(2, 10)} == count_store(str(tmp_path)).groups

    detach_set(first)
    assert {TRAIN: SetTotals(1, 6), replace(TRAIN, status="detached"): SetTotals(1, 4)} == count_store(
        str(tmp_path)
    ).groups


def test_a_torn_manifest_is_told_and_takes_nothing_else_down(tmp_path: Path) -> None:
    attach_set(tmp_path, "a", count=4)
    torn = Path(attach_set(tmp_path, "b", count=4).file(MANIFEST))
    whole = torn.read_bytes()
    for content, total, unreadable in ((whole[:100], SetTotals(1, 4), 1), (whole, SetTotals(2, 8), 0)):
        torn.write_bytes(content)
        tally = count_store(str(tmp_path))

        assert ({TRAIN: total}, unreadable) == (tally.groups, tally.unreadable)


def test_an_object_store_is_counted_like_a_disk(s3: S3, s3_uri: str) -> None:
    write_rejected(s3_uri, "a", rows=3, usd=0.5)
    assert {REJECTED: SetTotals(1, 0, 3, 0.5)} == count_store(s3_uri).groups

    s3.changes_left = 0
    with pytest.raises(StoreError, match="cannot be used"):
        count_store(s3_uri)
    s3.heal()
