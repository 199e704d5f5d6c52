"""The sets of a store are counted by their manifests, each read once, on a local disk and in an object store."""

import os
from pathlib import Path

import pytest
from fakes.s3 import S3
from fakes.stored import HANDLE, attach_set
from pyarrow import fs

from engine.errors import StoreError
from engine.listing.statistics import count_store
from engine.store.detach import detach_set
from engine.store.layout import MANIFEST


def count(store: Path | str) -> tuple[dict[str, int], int]:
    sets, unreadable = count_store(str(store))
    return dict(sets), unreadable


def test_sets_of_all_pools_are_counted_and_one_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    empty = count(tmp_path)
    stored = attach_set(tmp_path, "a", count=4)
    attach_set(tmp_path, "b", count=2, pool="eval")
    fs.copy_files(str(tmp_path / f"handle={HANDLE}/pool=train/run=a"), str(tmp_path / "elsewhere"))
    first = count(tmp_path)
    manifest = Path(stored.file(MANIFEST))
    whole, before = manifest.read_bytes(), manifest.stat()
    manifest.write_bytes(b"x" * before.st_size)
    os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert (({}, 0), ({"attached": 2}, 0)) == (empty, first)
    assert first == count(tmp_path)
    manifest.write_bytes(whole)
    detach_set(stored)
    assert ({"attached": 1, "detached": 1}, 0) == count(tmp_path)


def test_a_torn_manifest_is_told_until_it_is_whole(tmp_path: Path) -> None:
    attach_set(tmp_path, "a", count=4)
    torn = Path(attach_set(tmp_path, "b", count=4).file(MANIFEST))
    whole = torn.read_bytes()
    for content, sets, unreadable in ((whole[:100], 1, 1), (whole[:100], 1, 1), (whole, 2, 0)):
        torn.write_bytes(content)
        assert ({"attached": sets}, unreadable) == count(tmp_path)


def test_an_object_store_is_counted_like_a_disk(s3: S3, s3_uri: str) -> None:
    attach_set(s3_uri, "a", count=3)
    assert ({"attached": 1}, 0) == count(s3_uri)

    s3.changes_left = 0
    with pytest.raises(StoreError, match="cannot be used"):
        count(s3_uri)
    s3.heal()
