"""A plan's folder tells who has it open, and lets one at a time change it, whatever becomes of the others."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from engine.replies.plan_folder import TURN, USERS, InUseError, PlanFolder, is_in_use, remove_folder


def test_turn_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    folders = [PlanFolder(tmp_path / "plan") for _ in range(3)]
    counts = {"inside": 0, "most": 0, "turns": 0}

    def take_turns(folder: PlanFolder) -> None:
        for _ in range(50):
            with folder.turn():
                counts["inside"] += 1
                counts["most"] = max(counts["most"], counts["inside"])
                counts["turns"] += 1
                counts["inside"] -= 1

    threads = [threading.Thread(target=take_turns, args=(folder,)) for folder in (*folders, folders[0])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {"inside": 0, "most": 1, "turns": 200} == counts
    for folder in folders:
        folder.leave()


def test_turn_that_another_does_not_give_back_is_an_error_after_a_while(tmp_path: Path) -> None:
    folder = PlanFolder(tmp_path / "plan", max_wait_seconds=0.05)
    other = os.open(folder.path / TURN, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(TimeoutError, match="another process writes to it"), folder.turn():
        raise AssertionError("two inside")
    os.close(other)
    with folder.turn():
        assert folder.is_live(folder.token)
    folder.leave()


def test_folder_is_in_use_as_long_as_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    assert not is_in_use(path)
    one, other = PlanFolder(path), PlanFolder(path)
    assert one.is_live(other.token)
    one.leave()
    assert is_in_use(path)
    assert not other.is_live(one.token)
    other.leave()

    assert not is_in_use(path)


def test_marks_of_the_dead_are_swept(tmp_path: Path) -> None:
    folder = PlanFolder(tmp_path / "plan")
    (folder.path / USERS / "dead").touch()
    folder.sweep()

    assert [folder.token] == [path.name for path in (folder.path / USERS).iterdir()]
    folder.leave()


def test_folder_in_use_is_not_removed(tmp_path: Path) -> None:
    folder = PlanFolder(tmp_path / "plan")
    with pytest.raises(InUseError):
        remove_folder(folder.path)
    with folder.turn(), pytest.raises(InUseError):
        remove_folder(folder.path)
    folder.leave()
    remove_folder(folder.path)

    assert [] == list(tmp_path.iterdir())
