"""What a dead process was making is found and taken away, by its model's next run at once, by another's after a day."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.stored import HANDLE, attach_set, name_faults, wait_for_waiting

from engine.store.staging import PROBE, STAGING, STALE_SECONDS, list_stale, make_staging
from engine.store.store import locate_pool
from engine.store.upkeep.debris import sweep_store
from engine.store.writers import lock_model

# A model whose handle begins as that of the other does, and one with which it ends.
LOOK_ALIKES = ("u22a8.test-two", "a-u22a8.test")


def leave_staging(root: Path, handle: str = HANDLE, pool: str = "train") -> Path:
    """A staging folder with a file, as a process that is killed leaves it."""
    folder = Path(locate_pool(str(root), handle, pool))  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    with make_staging(folder) as staging:
        left = staging.with_name(staging.name[:-4] + "left")
    left.mkdir()
    (left / "file").write_text("half")
    return left


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    for found in (path, *path.rglob("*")):
        os.utime(found, (moment, moment))


def sweep(root: Path, handle: str = HANDLE) -> list[str]:
    return [line.removesuffix(": left by a process that is gone") for line in sweep_store(str(root), handle)]


def test_what_a_dead_process_left_is_taken_away_beside_and_inside_the_store(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    beside = [leave_staging(root), leave_staging(root, pool="eval")]
    inside = root / f"{STAGING}{beside[0].name.partition('-staging-')[2]}"
    inside.mkdir()
    (inside / "file").write_text("half")

    assert {str(path) for path in (*beside, inside)} == set(sweep(root))
    assert [root] == list(tmp_path.iterdir())
    assert [f"handle={HANDLE}"] == [path.name for path in root.iterdir()]


@pytest.mark.parametrize("left_by", [*LOOK_ALIKES, PROBE, STAGING, ".samples-staging-"])
def test_what_was_left_by_another_model_or_by_nobody_known_goes_after_a_day(tmp_path: Path, left_by: str) -> None:
    root = tmp_path / "samples"
    root.mkdir()
    if "u22a8" in left_by:
        left = leave_staging(root, left_by)
    else:
        left = (tmp_path if left_by.startswith(".") else root) / f"{left_by}0123456789ab-x"
        left.mkdir()
        (left / "file").write_text("half")
    age(left, STALE_SECONDS - 60)
    assert ([], [], []) == (sweep(root), list_stale(root), name_faults(root))
    age(left, STALE_SECONDS + 60)

    assert [left] == list_stale(root)
    assert 1 == len(name_faults(root))
    assert [str(left)] == sweep(root)
    assert [root] == list(tmp_path.iterdir())


def test_sweep_waits_for_a_living_process_of_the_same_model(tmp_path: Path) -> None:
    """Two runs of a model that no lease keeps apart: whoever commits holds the model's lock, and is not disturbed."""
    root = tmp_path / "samples"
    model = Path(attach_set(root, "stays").folder).parents[1]
    with ThreadPoolExecutor(1) as pool, lock_model(str(model)):
        left = leave_staging(root)
        swept = pool.submit(sweep, root)
        wait_for_waiting(model, swept)
        assert not swept.done()
        shutil.rmtree(left)

    assert [] == swept.result()
