"""The summary on the run page: what it says of money, and where Prefect's server is away."""

from dataclasses import replace

from fakes.builders import make_exemplar, make_level, make_test_plan
from fakes.client import CHAT, PLAIN
from fakes.site import find_free_port
from fakes.word_vectors import WordVectors
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.costs import Attempt, Bill, Spending
from engine.estimate import estimate_plan
from engine.llm import Endpoint
from engine.model import POLES
from engine.prices import FREE, Price
from engine.rounds import Rounds
from engine.screen import Screener
from engine.store import StoredSet
from engine.verdict import Verdict
from tasks.report import report, write_summary

VERDICT = Verdict(True, (), (), (), {}, ())
PRICED = replace(CHAT, price=Price(4e-7, 1.6e-6))
STORED = StoredSet("samples/run=1", {})


def make_rounds() -> Rounds:
    """One exemplar at each pole, for ten cents each."""
    plan = make_test_plan(level=make_level(1))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)
    rounds.take([replace(make_exemplar(f"A text that is {pole}.", pole), cost_usd=0.1) for pole in POLES])
    return rounds


def summarize(endpoint: Endpoint, bill: Bill) -> str:
    rounds = make_rounds()
    return write_summary(rounds, VERDICT, STORED, estimate_plan(rounds.plan, endpoint, None, 1.0), bill)


def test_cost_stands_beside_the_estimate_with_a_row_for_each_pole_and_the_sums() -> None:
    bill = Bill(Spending(0.22, 3, 1200, 0, 0.0, 240), Attempt(limit_usd=1.0))
    summary = summarize(PRICED, bill)

    assert "## Cost: $0.22, likely $0.00" in summary
    assert "Replies: 3, likely 13. Tokens: 1,200 in, 240 out." in summary
    assert "The run's limit was $1.00." in summary
    assert "| Clarity | Clear | $0.10 | 1 | $0.10 |" in summary
    assert "| shared by all | | $0.0200 | | |" in summary
    assert "| **together** | | $0.22 | 2 | $0.11 |" in summary


def test_run_that_cost_nothing_says_so_and_no_more() -> None:
    summary = summarize(replace(PLAIN, price=FREE), Bill(Spending(usd=0.0, replies=3)))

    assert "## Cost: nothing" in summary
    assert "$" not in summary


def test_model_without_a_price_is_named_and_has_no_table_of_costs() -> None:
    summary = summarize(CHAT, Bill(Spending(replies=3), Attempt(unpriced=("openai/test",))))

    assert "## Cost: not known for openai/test\n" in summary
    assert "No price is known for openai/test: its cost is not counted." in summary
    assert "for each kept" not in summary


async def test_server_that_is_away_fails_no_run_whose_set_is_in_the_store() -> None:
    rounds = make_rounds()
    away = {PREFECT_API_URL: f"http://127.0.0.1:{find_free_port()}/api"}
    with temporary_settings(away), disable_run_logger():
        await report(rounds, VERDICT, STORED, estimate_plan(rounds.plan, PRICED, None, 1.0), Bill())
