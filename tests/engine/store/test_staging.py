"""What a dead process was making is found and taken away, by its model's next run at once, by another's after a day."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.stored import HANDLE, attach_set, wait_for_waiting

from engine.store.debris import sweep_store
from engine.store.sample_set import Status
from engine.store.staging import PROBE, STAGING, STALE_SECONDS, list_stale, make_staging, put_aside
from engine.store.store import list_sets, locate_pool
from engine.store.verify import StoreVerifier
from engine.store.writers import lock_model

OTHER = "u22a8.other"
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


def put_aside_and_fail(folder: Path) -> None:
    with make_staging(folder.parent) as staging:
        put_aside(staging, folder)
        raise KeyboardInterrupt


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


@pytest.mark.parametrize("handle", [OTHER, *LOOK_ALIKES])
def test_what_a_run_of_another_model_left_stays_for_a_day(tmp_path: Path, handle: str) -> None:
    root = tmp_path / "samples"
    left = leave_staging(root, handle)
    age(left, STALE_SECONDS - 60)
    assert [] == sweep(root)
    assert [] == list_stale(root)
    assert [] == list(StoreVerifier(str(root)).find_faults())
    age(left, STALE_SECONDS + 60)

    assert [str(left)] == [fault.where for fault in StoreVerifier(str(root)).find_faults()]
    assert [str(left)] == sweep(root)
    assert [root] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [f"samples/{PROBE}0123456789ab-0", "samples/__staging-0123456789ab-x", ".samples-staging-x"],
)
def test_what_a_dead_process_left_goes_after_a_day(tmp_path: Path, name: str) -> None:
    root = tmp_path / "samples"
    root.mkdir()
    left = tmp_path / name
    if PROBE in name:
        left.write_bytes(b"\0")
    else:
        left.mkdir()
        (left / "file").write_text("half")
    age(left, STALE_SECONDS - 60)
    assert [] == sweep(root)
    age(left, STALE_SECONDS + 60)

    assert [left] == list_stale(root)
    assert [str(left)] == sweep(root)
    assert [root] == list(tmp_path.iterdir())


def test_what_its_process_takes_away_meanwhile_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "samples"
    left = leave_staging(root)

    def look_too_late(path: Path) -> os.stat_result:
        shutil.rmtree(path)
        return path.stat()

    monkeypatch.setattr(Path, "lstat", look_too_late)

    assert [] == list(StoreVerifier(str(root)).find_faults())
    assert not left.exists()


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


def test_process_whose_folder_was_taken_away_commits_no_part_of_a_set(tmp_path: Path) -> None:
    """As on a disk whose locks are not seen by another machine."""
    root = tmp_path / "samples"
    pool = Path(attach_set(root, "a").folder).parent
    with make_staging(pool) as staging:
        (staging / "set").mkdir()
        assert [str(staging)] == sweep(root)
        with pytest.raises(FileNotFoundError):
            (staging / "set" / "file").write_text("half")
        with pytest.raises(FileNotFoundError):
            put_aside(staging, pool / "run=a")

    assert ["a"] == [stored.run_id for stored in list_sets(str(root), HANDLE, "train")]


@pytest.mark.parametrize("status", ["attached", "rejected"])
def test_set_that_was_put_aside_goes_back_where_nothing_took_its_place(tmp_path: Path, status: Status) -> None:
    root = tmp_path / "samples"
    folder = Path(attach_set(root, "a", status=status).folder)
    left = leave_staging(root)
    put_aside(left, folder)
    assert not folder.exists()
    if status == "rejected":
        attach_set(root, "a")

    assert [str(left)] == sweep(root)
    assert [str(folder)] == [stored.folder for stored in list_sets(str(root), HANDLE, "train")]
    assert [root] == list(tmp_path.iterdir())


def test_set_goes_back_when_what_should_take_its_place_fails(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    folder = Path(attach_set(root, "a").folder)
    with pytest.raises(KeyboardInterrupt):
        put_aside_and_fail(folder)

    assert [str(folder)] == [stored.folder for stored in list_sets(str(root), HANDLE, "train")]
    assert [root] == list(tmp_path.iterdir())


def test_what_cannot_go_back_is_kept_until_it_can(tmp_path: Path) -> None:
    root = tmp_path / "samples"
    folder = Path(attach_set(root, "a").folder)
    left = leave_staging(root)
    put_aside(left, folder)
    age(left, STALE_SECONDS + 60)
    pool = folder.parent
    pool.rename(tmp_path / "away")
    pool.write_text("in the way")
    assert [] == sweep(root)
    pool.unlink()
    pool.mkdir()

    assert 1 == len(sweep(root))
    assert folder.is_dir()
    assert {"samples", "away"} == {path.name for path in tmp_path.iterdir()}
