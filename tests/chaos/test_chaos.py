"""A short form of the rounds: a kill, faults mixed, a budget; ``make chaos`` plays the long ones."""

from pathlib import Path

import pytest
from chaos.faults import Script
from chaos.rounds import MIXED, Book, play_budget, play_kills
from fakes.database import lay_database

from engine.errors import BudgetError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

WANTED = 4


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path, large=WANTED, medium=WANTED, concurrency=8)


def test_kill_repeats_what_was_in_flight_changes_nothing_and_leaves_no_process(book: Book) -> None:
    lay_database(book.folder / "prefect")
    play_kills(book, 1)

    assert [] == book.broken
    assert [(0, 0), (0, 1)] == [(row.ending.code, len(row.ending.kills)) for row in book.rows]
    assert {} == book.rows[-1].workspace.wait_for_no_process(60)


def test_mixed_faults_lose_no_sample(book: Book) -> None:
    row = book.play("mixed", WANTED, Script(shares=MIXED), variables={"EXEMPLARS_CALL_TIMEOUT_SECONDS": "1"})

    assert ((), 0) == (row.account.broken, row.account.short)
    assert len({entry.fate for entry in row.entries}) > 5


def test_budget_is_never_passed_and_more_money_ends_the_run(book: Book) -> None:
    script = Script(latency_seconds=0.1, cached=0.3)
    whole = book.play("no limit", WANTED, script)
    stopped, then = play_budget(book, "bound", 0.8 * whole.account.spent_usd, script)

    assert (BudgetError.exit_code, 0, ()) == (stopped.ending.code, stopped.account.kept_rows, stopped.account.broken)
    assert stopped.account.billed > 0
    assert (0, 4 * WANTED, ()) == (then.ending.code, then.account.kept_rows, then.account.broken)
