"""Sets of a model get the order in which they enter the store, on a disk whose clock is set back as well."""

import os
import time
from pathlib import Path

import pytest
from fakes.stored import HANDLE, attach_set

from engine.listing.attached import list_attached
from engine.store.layout import MANIFEST
from engine.store.store import locate_pool


def list_runs(samples: Path) -> list[str]:
    return [item.run_id for item in list_attached(str(samples), HANDLE)]


def read_moment(folder: str) -> int:
    return Path(folder, MANIFEST).stat().st_mtime_ns


def test_set_has_the_moment_of_its_commit_and_keeps_it(tmp_path: Path) -> None:
    rejected = read_moment(attach_set(tmp_path, "a", status="rejected").folder)
    before = time.time_ns()
    moment = read_moment(attach_set(tmp_path, "a").folder)

    assert rejected < before <= moment <= time.time_ns()
    assert [moment] == [item.attached_ns for item in list_attached(f"{tmp_path}/", HANDLE)]
    attach_set(tmp_path, "b")
    assert moment == read_moment(attach_set(tmp_path, "a").folder)
    assert ["a", "b"] == list_runs(tmp_path)


@pytest.mark.parametrize("status", ["attached", "rejected"])
def test_set_comes_after_those_that_are_there_though_the_clock_was_set_back(tmp_path: Path, status: str) -> None:
    ahead = time.time_ns() + 3_600 * 10**9
    other = "b" if status == "attached" else "a"
    os.utime(Path(attach_set(tmp_path, other, status=status).folder, MANIFEST), ns=(ahead, ahead))  # type: ignore[arg-type]
    (Path(locate_pool(str(tmp_path), HANDLE, "train")) / "notes").write_text("a file that is in nobody's way")

    assert ahead + 1 == read_moment(attach_set(tmp_path, "a").folder)
    assert (["b", "a"] if status == "attached" else ["a"]) == list_runs(tmp_path)
