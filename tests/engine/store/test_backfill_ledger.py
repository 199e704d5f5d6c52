"""The ledger tells how each model of a backfill stands, survives its file, and says in words what is left to do."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.errors import ProviderDownError
from engine.store.backfill_ledger import (
    Ledger,
    ModelRow,
    describe_ledger,
    locate_ledger,
    parse_ledger,
    read_ledger,
    render_ledger,
    write_ledger,
)

ROWS = (
    ModelRow("a.one", "attached", 16, 16, 3, 0.01, "run-1", 4.5),
    ModelRow("a.two", "failed", note="a.two: no traits are defined."),
    ModelRow("a.three", "skipped", run_id="run-0", note="It has a set"),
    ModelRow("a.four"),
)


def test_ledger_is_the_same_after_it_was_written_and_read(tmp_path: Path) -> None:
    write_ledger(str(tmp_path), "run", Ledger(ROWS, 0.5), {"synth_type": "from_traits"})
    found = read_ledger(str(tmp_path), "run")
    newer = render_ledger(Ledger(ROWS[:1], ended=True), {}).replace(b'"handle"', b'"colour": "red", "handle"')

    assert (ROWS, 0.5, False) == (found.rows, found.spent_usd, found.ended)
    assert [Path(locate_ledger(str(tmp_path), "run"))] == [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (ROWS[:1], True) == (parse_ledger(newer).rows, parse_ledger(newer).ended)


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"models": [{"state": "attached"}]}'])
def test_file_that_is_no_ledger_counts_as_none(tmp_path: Path, content: bytes) -> None:
    place = Path(locate_ledger(str(tmp_path), "run"))
    place.parent.mkdir()
    place.write_bytes(content)

    assert () == read_ledger(str(tmp_path), "run").rows


def test_row_of_a_model_that_is_not_in_the_ledger_is_not_taken() -> None:
    ledger = Ledger(ROWS[:1])
    ledger.replace_row(ModelRow("b.other", "attached"))
    ledger.replace_row(ModelRow("a.one", "failed"))

    assert [("a.one", "failed")] == [(row.handle, row.state) for row in ledger.rows]


def test_sums_are_over_all_rows() -> None:
    ledger = Ledger(ROWS)

    assert ({"attached": 1, "failed": 1, "skipped": 1, "waits": 1}, 0.75, 0.01) == (
        ledger.count(),
        ledger.share,
        ledger.cost_usd,
    )
    assert Ledger(ROWS[1:]).cost_usd is None


LOST = ModelRow("a.tow", "failed", note="No model 'a.tow' in models. Did you mean a.two?")


@pytest.mark.parametrize(
    ("rows", "stopped", "said"),
    [
        (
            ROWS,
            ProviderDownError("openai/test: it is down"),
            "Models: 1 not started, 1 attached, 1 skipped, 1 failed. Failed: a.two: no traits are defined. Stopped: "
            "openai/test: it is down. Start the backfill again to do only what is left.",
        ),
        (ROWS[:1], None, "Models: 1 attached."),
        (
            [LOST],
            None,
            f"Models: 1 failed. Failed: a.tow: {LOST.note} Start the backfill again to do only what is left.",
        ),
        ((), None, "No models."),
    ],
)
def test_sentence_names_what_failed_and_says_what_to_do(
    rows: Sequence[ModelRow], stopped: Exception | None, said: str
) -> None:
    assert said == describe_ledger(Ledger(rows), stopped)


@pytest.mark.parametrize(("count", "more"), [(5, False), (6, True)])
def test_of_many_failures_the_first_are_named_and_the_others_counted(count: int, more: bool) -> None:
    said = describe_ledger(Ledger(ModelRow(f"a.m{number}", "failed", note="x" * 500) for number in range(count)))

    assert more == ("; and 1 more." in said)
    assert 5 == said.count("a.m")
    assert 5 * 199 == said.count("x")
