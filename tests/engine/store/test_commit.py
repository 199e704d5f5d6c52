"""Sets have the order in which they were attached, and what a dead process was making goes after a day."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.stored import HANDLE, attach_set, name_faults

from engine.listing.attached import list_attached
from engine.store.commit import STAGING, STALE_SECONDS, list_stale
from engine.store.leftovers import sweep_store

NOW = datetime.now(UTC)


def test_set_has_the_moment_of_its_commit_and_keeps_it(tmp_path: Path) -> None:
    attach_set(tmp_path, "a", status="rejected")
    before = time.time_ns()
    moment = attach_set(tmp_path, "a").manifest["attached_ns"]

    assert before <= moment <= time.time_ns()
    attach_set(tmp_path, "b")
    assert moment == attach_set(tmp_path, "a").manifest["attached_ns"]
    sets = list_attached(f"{tmp_path}/", HANDLE)
    assert [("a", moment), "b"] == [(sets[0].run_id, sets[0].attached_ns), sets[1].run_id]


@pytest.mark.parametrize("left_by", [STAGING, ".samples-staging-"])
def test_what_a_dead_process_left_goes_after_a_day(tmp_path: Path, left_by: str) -> None:
    root = tmp_path / "samples"
    root.mkdir()
    left = (tmp_path if left_by.startswith(".") else root) / f"{left_by}0123456789ab-x"
    left.mkdir()
    (left / "file").write_text("half")
    moment = NOW.timestamp() - STALE_SECONDS - 60
    os.utime(left, (moment, moment))
    earlier = NOW - timedelta(minutes=2)
    assert ((), []) == (sweep_store(str(root), HANDLE, earlier), list_stale(root, earlier))

    assert [left] == list_stale(root, NOW)
    assert 1 == len(name_faults(root))
    assert (f"{left}: left by a process that is gone",) == sweep_store(str(root), HANDLE, NOW)
    assert [root] == list(tmp_path.iterdir())
