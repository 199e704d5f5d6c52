"""What a dead process was making is found and taken away by the next run, of whichever model, after a day."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.stored import HANDLE, name_faults

from engine.store.staging import PROBE, STAGING, STALE_SECONDS, list_stale, make_staging
from engine.store.upkeep.debris import sweep_store

NOW = datetime.now(UTC)


@pytest.mark.parametrize("left_by", [PROBE, STAGING, ".samples-staging-"])
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


def test_set_is_made_beside_its_store_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    root.mkdir()
    with make_staging(root) as staging:
        assert (tmp_path, []) == (staging.parent, list(root.iterdir()))

    assert [root] == list(tmp_path.iterdir())
