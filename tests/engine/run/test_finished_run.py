"""A run whose set is attached is finished; one that is rejected, of another pool or not there is not."""

from pathlib import Path

from fakes.stored import HANDLE, attach_set

from engine.run.job import find_finished
from engine.store.layout import REPORT, SAMPLES


def test_attached_set_is_its_run_s_result_and_one_that_is_rejected_or_of_another_pool_is_not(tmp_path: Path) -> None:
    stored = attach_set(tmp_path, "one", 8, ("clarity", "safety"))
    attach_set(tmp_path, "rejected", status="rejected")
    attach_set(tmp_path, "held-out", pool="eval")
    found, *others = (
        find_finished(str(tmp_path), HANDLE, "from_traits", run_id)
        for run_id in ("one", "rejected", "held-out", "none")
    )

    assert found is not None
    assert ("one", "attached", 4, "8 attached") == (found.run_id, found.status, found.wanted, found.headline)
    assert (stored.file(SAMPLES), stored.file(REPORT)) == (found.samples, found.report)
    assert {("clarity", "positive"): 4, ("safety", "negative"): 4} == {cell: n for cell, n in found.kept.items() if n}
    assert 3 * [None] == others
    assert find_finished(str(tmp_path), HANDLE, "enrich", "held-out") is not None
