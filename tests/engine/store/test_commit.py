"""Sets of a model get the order in which they enter the store, on a disk whose clock is set back as well."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.stored import HANDLE, attach_set
from pyarrow import fs

from engine.listing.attached import find_manifests, list_attached
from engine.store.layout import MANIFEST
from engine.store.store import locate_pool


def list_runs(samples: Path) -> list[str]:
    return [item.run_id for item in list_attached(str(samples), HANDLE)]


def read_moment(folder: str) -> int:
    return Path(folder, MANIFEST).stat().st_mtime_ns


def test_set_has_the_moment_of_its_commit(tmp_path: Path) -> None:
    before = time.time_ns()
    moment = read_moment(attach_set(tmp_path, "a").folder)

    assert before <= moment <= time.time_ns()
    assert [moment] == [item.attached_ns for item in list_attached(f"{tmp_path}/", HANDLE)]


def test_set_comes_after_those_that_are_there_though_the_clock_was_set_back(tmp_path: Path) -> None:
    ahead = time.time_ns() + 3_600 * 10**9
    os.utime(Path(attach_set(tmp_path, "b").folder, MANIFEST), ns=(ahead, ahead))

    assert ahead + 1 == read_moment(attach_set(tmp_path, "a").folder)
    assert ["b", "a"] == list_runs(tmp_path)


def test_set_that_is_written_again_keeps_its_moment(tmp_path: Path) -> None:
    first = read_moment(attach_set(tmp_path, "a").folder)
    attach_set(tmp_path, "b")

    assert first == read_moment(attach_set(tmp_path, "a").folder)
    assert ["a", "b"] == list_runs(tmp_path)


def test_set_that_takes_the_place_of_a_rejected_one_has_a_later_moment(tmp_path: Path) -> None:
    rejected = read_moment(attach_set(tmp_path, "a", status="rejected").folder)

    assert rejected < read_moment(attach_set(tmp_path, "a").folder)


def test_no_two_sets_that_are_written_at_once_have_the_same_moment(tmp_path: Path) -> None:
    with ThreadPoolExecutor(20) as pool:
        folders = list(pool.map(lambda number: attach_set(tmp_path, str(number)).folder, range(20)))

    assert 20 == len({read_moment(folder) for folder in folders})


def test_file_beside_the_sets_is_in_nobodys_way(tmp_path: Path) -> None:
    pool = Path(locate_pool(str(tmp_path), HANDLE, "train"))
    pool.mkdir(parents=True)
    (pool / "notes").write_text("a file")
    attach_set(tmp_path, "a")

    assert ["a"] == list_runs(tmp_path)


def test_object_store_tells_the_same_manifests_as_a_local_disk(tmp_path: Path) -> None:
    """Any file system that is not the local one is asked in the way of an object store."""
    for run_id in ("b", "a"):
        attach_set(tmp_path, run_id)
    path = locate_pool("samples", HANDLE, "train")
    (tmp_path / path).parent.mkdir(parents=True)
    Path(locate_pool(str(tmp_path), HANDLE, "train")).rename(tmp_path / path)
    (tmp_path / path / "run=half" / "__run__").mkdir(parents=True)
    (tmp_path / path / "run=half" / "__run__" / "_manifest.json").write_text("not where it belongs")
    remote = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    local = find_manifests(fs.LocalFileSystem(), str(tmp_path / path))

    assert {"run=a", "run=b"} == set(local)
    assert local == find_manifests(remote, path)


@pytest.mark.parametrize("filesystem", [fs.LocalFileSystem(), fs.SubTreeFileSystem("/", fs.LocalFileSystem())])
def test_folder_that_is_not_there_has_no_manifests(tmp_path: Path, filesystem: fs.FileSystem) -> None:
    assert {} == find_manifests(filesystem, f"{tmp_path}/none")
