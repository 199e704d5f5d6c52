"""Rows of stored sets: all of several sets in one table, without a set that was detached meanwhile."""

from pathlib import Path

from fakes.stored import attach_set

from engine.domain.samples import SAMPLE_SCHEMA
from engine.store.store import detach_set
from engine.store.stored_rows import read_whole_sets


def test_sets_are_read_in_order_without_one_that_was_detached_since(tmp_path: Path) -> None:
    sets = [attach_set(tmp_path, run_id, count=2) for run_id in ("b", "off", "a")]
    detach_set(sets[1])
    table = read_whole_sets(sets)

    assert ["b", "b", "a", "a"] == table["run_id"].to_pylist()
    assert SAMPLE_SCHEMA == table.schema == read_whole_sets([]).schema
