"""The ledger tells how each model of a backfill stands, survives its file, and sums over its rows."""

from pathlib import Path

import pytest

from engine.backfills.ledger import Ledger, ModelRow, locate_ledger, read_ledger, write_ledger

ROWS = (
    ModelRow("a.one", "attached", 16, 16, 3, 0.01, "run-1", 4.5),
    ModelRow("a.two", "failed", note="a.two: no traits are defined."),
    ModelRow("a.three", "skipped", run_id="run-0", note="It has a set"),
    ModelRow("a.four"),
)


def test_ledger_is_the_same_after_it_was_written_and_read(tmp_path: Path) -> None:
    write_ledger(str(tmp_path), "run", Ledger(ROWS, 0.5))
    found = read_ledger(str(tmp_path), "run")

    assert (ROWS, 0.5, False) == (found.rows, found.spent_usd, found.ended)
    assert [Path(locate_ledger(str(tmp_path), "run"))] == [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}"])
def test_file_that_is_no_ledger_counts_as_none(tmp_path: Path, content: bytes) -> None:
    place = Path(locate_ledger(str(tmp_path), "run"))
    place.parent.mkdir()
    place.write_bytes(content)

    assert () == read_ledger(str(tmp_path), "run").rows


def test_row_is_replaced_where_its_model_is_in_the_ledger_and_sums_are_over_all() -> None:
    ledger = Ledger(ROWS)
    ledger.replace_row(ModelRow("b.other", "attached"))
    ledger.replace_row(ModelRow("a.two", "attached", cost_usd=0.02))

    assert ["a.one", "a.two", "a.three", "a.four"] == [row.handle for row in ledger.rows]
    assert {"attached": 2, "skipped": 1, "waits": 1} == ledger.count()
    assert 0.75 == ledger.share
    assert pytest.approx(0.03) == ledger.cost_usd
    assert Ledger(ROWS[1:]).cost_usd is None
