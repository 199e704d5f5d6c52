"""The page of a backfill: what came of it first, failed models with their reasons, and a table that stays usable."""

from engine.backfills.ledger import Ledger, ModelRow, ModelState
from engine.backfills.page import MAX_ROWS, describe_backfill, describe_end, write_backfill_page
from engine.errors import ProviderDownError, SharedBudgetError

FILE = "samples/__backfills__/1.json"


def make_rows(state: ModelState, count: int, note: str = "", warnings: int = 0) -> list[ModelRow]:
    return [ModelRow(f"u22a8.{state}-{number}", state, note=note, warnings=warnings) for number in range(count)]


def write(*rows: ModelRow) -> str:
    return write_backfill_page(Ledger(rows, ended=True), FILE)


def test_verdict_says_how_many_have_samples_and_whether_something_is_left_to_do() -> None:
    ledger = Ledger([*make_rows("attached", 5, warnings=1), *make_rows("skipped", 2), *make_rows("failed", 1)])
    done = Ledger(make_rows("attached", 2), ended=True)
    older = Ledger([ModelRow("u22a8.a", "skipped", older_sets=1, older_samples=8)], ended=True)
    begun = Ledger([*make_rows("attached", 1), *make_rows("waits", 1)])

    assert describe_backfill(ledger)[0].startswith("7 of 8 models have their samples, 5 with warnings")
    assert "2 attached. Nothing is left to do." == describe_backfill(done)[1]
    assert "1 model has samples made for an older definition: with refresh" in describe_backfill(older)[1]
    assert "1 attached, 1 waiting. It is under way." == describe_backfill(begun)[1]


def test_end_names_what_failed_and_what_stopped_it_and_says_what_to_do() -> None:
    rows = [ModelRow("a.two", "failed", note="a.two: no traits are defined."), *make_rows("failed", 5, "x" * 500)]
    ended = describe_end(Ledger([*rows, *make_rows("waits", 1)], ended=True), ProviderDownError("it is down"))

    assert ended.startswith(
        "0 of 7 models have their samples. Failed: a.two: no traits are defined.; u22a8.failed-0: xx"
    )
    assert "; and 1 more. Stopped: it is down. 6 failed, 1 waiting. Fix what failed, be it a name in the" in ended


def test_backfill_at_its_limit_says_what_was_paid_what_is_held_and_what_to_do_once() -> None:
    rows = [ModelRow("a.cut", "cancelled", cost_usd=0.01, at_limit=True), *make_rows("skipped", 1)]
    ledger = Ledger([*rows, ModelRow("a.done", "attached", 16, 16, cost_usd=0.38)], spent_usd=0.4979, ended=True)
    ledger.unconfirmed_usd, ledger.max_usd = 0.1079, 0.5
    said = describe_end(ledger, SharedBudgetError("The backfill's limit of $0.50 is reached."))

    cost = "ost $0.39, $0.11 held for calls without a reply, limit $0.50. "
    counts = "1 cancelled, 1 attached, 1 already had samples. "
    assert f"Stopped: The backfill's limit of $0.50 is reached. C{cost}{counts}Start the backfill again, as" in said
    assert 1 == said.count("tart the backfill again")
    assert "its limit counts anew for each start, and a nightly one resumes the next night." in said
    page = write_backfill_page(ledger, FILE)
    assert f"; c{cost}" in page.replace("\n", " ")
    assert "resumes the next night" in page


def test_page_begins_with_the_verdict_then_the_table_with_failed_ones_and_why_first() -> None:
    page = write(
        ModelRow("u22a8.good", "attached", 16, 16, 7, 0.5, "run-1", 83.0),
        ModelRow("u22a8.bad", "failed", 3, 16, None, None, "run-2", 4.0, "No model.\n Did you *mean* another?"),
        ModelRow("u22a8.waits-0", older_sets=2, older_samples=64),
    )

    assert page.startswith("# 1 of 3 models has its samples\n")
    assert "| [u22a8.bad](../../runs/flow-run/run-2) | failed | 3 of 16 " in page
    assert "| No model. Did you \\*mean\\* another? |" in page
    assert page.index("u22a8.bad") < page.index("u22a8.good") < page.index("u22a8.waits-0")
    assert "16 of 16 | 7 | $0.50 | 83 s | – |" in page
    assert "| – | 64 |" in page
    assert "64 samples in 2 sets were made for an older definition (*older*)." in page


def test_thousands_of_models_make_a_page_that_says_what_is_not_shown_and_where_it_is() -> None:
    page = write(*make_rows("attached", 2940), *make_rows("failed", 60, "x" * 1000))

    assert MAX_ROWS + 2 == page.count("\n| ") + page.count("\n|-")
    assert 60 == page.count("| failed |")
    assert f"{3000 - MAX_ROWS:,} more models not shown: all are in `{FILE}`" in page
