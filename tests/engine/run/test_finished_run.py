"""A run whose set is attached is finished; one that is rejected, of another pool or not there is not."""

from pathlib import Path

from fakes.stored import HANDLE, attach_set

from engine.report.summary import RunResult
from engine.run.job import find_finished
from engine.store.layout import REPORT, SAMPLES


def test_attached_set_is_its_run_s_result(tmp_path: Path) -> None:
    stored = attach_set(tmp_path, "one", 8, ("clarity", "safety"))
    kept = {
        ("clarity", "positive"): 4,
        ("clarity", "negative"): 0,
        ("safety", "positive"): 0,
        ("safety", "negative"): 4,
    }
    result = RunResult(
        "one",
        "attached",
        stored.file(SAMPLES),
        stored.file(REPORT),
        4,
        kept,  # type: ignore[arg-type]
        headline="8 attached",
    )

    assert result == find_finished(str(tmp_path), HANDLE, "from_traits", "one")


def test_run_that_attached_nothing_is_not_finished(tmp_path: Path) -> None:
    attach_set(tmp_path, "rejected", status="rejected")
    attach_set(tmp_path, "held-out", pool="eval")

    assert 3 * [None] == [
        find_finished(str(tmp_path), HANDLE, "from_traits", run_id) for run_id in ("rejected", "held-out", "none")
    ]
    assert find_finished(str(tmp_path), HANDLE, "enrich", "held-out") is not None


def test_store_that_is_not_there_has_no_finished_run(tmp_path: Path) -> None:
    assert find_finished(str(tmp_path / "none"), HANDLE, "from_traits", "one") is None
