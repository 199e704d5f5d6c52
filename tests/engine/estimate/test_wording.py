"""What a run will come to is said in one line, with its limit, and with the names of what has no price."""

from dataclasses import replace

import pytest
from fakes.builders import make_test_plan
from fakes.client import CHAT, PLAIN

from engine.errors import BudgetError, SharedBudgetError
from engine.estimate.call_kinds import Spread, list_calls
from engine.estimate.estimate import Amount, Estimate, estimate_calls, explain_budget, explain_estimate, format_estimate
from engine.llm.client.prices import FREE, Price

PRICED = replace(CHAT, name="openai/priced", price=Price(4e-7, 1.6e-6))
AMOUNTS = (
    Amount(385, 391_398, 26_484, 0.2),
    Amount(8_961, 11_144_544, 4_660_560, 11.914),
)


def make_estimate(limit_usd: float | None = None, kept: int | None = None) -> Estimate:
    return Estimate(
        (), Spread(*AMOUNTS), {PRICED.name: PRICED.price}, limit_usd=limit_usd, max_call_usd=0.003, kept=kept
    )


def test_estimate_is_one_line() -> None:
    free = estimate_calls(list_calls(make_test_plan(), replace(PLAIN, price=FREE)), 1.0)

    assert (
        "Estimate: 385 calls (at most 8,961); 391 k tokens in (at most 11.1 M), 26 k out (at most 4.7 M); $0.20 (at "
        "most $11.91); the limit is $10.00; 57 replies kept already, which cost nothing more"
    ) == format_estimate(make_estimate(limit_usd=10.0, kept=57))
    assert format_estimate(free).endswith("); it costs nothing")
    assert ("embedded/test costs nothing.",) == explain_estimate(free)


@pytest.mark.parametrize(
    ("so_far", "said"),
    [
        # $1.50 for six is $0.25 each; $0.20 are likely, $11.91 the most.
        ((1.5, 6, 2), "about $0.50 more, a limit of $2.00 in all"),
        ((0.05, 0, 0), "about $0.15 more, a limit of $0.20 in all"),
        ((2.0, 0, 0), "about $9.92 more, a limit of $11.92 in all"),
    ],
)
def test_need_is_told_as_more_and_as_a_limit_unless_others_share_it(so_far: tuple[float, int, int], said: str) -> None:
    told = str(explain_budget(BudgetError("The limit is reached"), make_estimate(), *so_far))
    shared = SharedBudgetError("The limit of all is reached")

    assert told.startswith("The limit is reached. ")
    assert told.endswith(said)
    assert shared is explain_budget(shared, make_estimate(), *so_far)
