"""What a run will come to is said in one line, with its limit, and with the names of what has no price."""

from dataclasses import replace

import pytest
from fakes.builders import make_level, make_test_plan
from fakes.client import CHAT, PLAIN

from engine.errors import BudgetError
from engine.estimate.call_kinds import Spread
from engine.estimate.estimate import Amount, Estimate, estimate_plan
from engine.estimate.wording import explain_budget, explain_estimate, format_estimate
from engine.llm.prices import FREE, Price

PRICED = replace(CHAT, name="openai/priced", price=Price(4e-7, 1.6e-6))
JUDGE = replace(CHAT, name="openai/judge")
VOTED = make_test_plan(level=make_level(judge_votes=1))
AMOUNTS = (
    Amount(321, 299_083, 4_560, 0.14),
    Amount(385, 391_398, 26_484, 0.2),
    Amount(8_961, 11_144_544, 4_660_560, 11.914),
)


def make_estimate(**fields: object) -> Estimate:
    kinds = estimate_plan(make_test_plan(), PRICED, None, None).kinds
    return Estimate(kinds, (), Spread(*AMOUNTS), **({"max_call_usd": 0.003} | fields))  # type: ignore[arg-type]


def test_estimate_is_one_line() -> None:
    assert (
        "Estimate: 321 to 8,961 calls, likely 385; 299 k to 11.1 M tokens in, 4,560 to 4.7 M out; $0.14 to $11.91, "
        "likely $0.20; the limit is $10.00; 57 replies kept already, which cost nothing more"
    ) == format_estimate(make_estimate(limit_usd=10.0, kept=57))


@pytest.mark.parametrize("kept", [None, 0])
def test_neither_limit_nor_kept_replies_are_told_where_there_are_none(kept: int | None) -> None:
    assert format_estimate(make_estimate(kept=kept)).endswith("; $0.14 to $11.91, likely $0.20")


def test_limit_that_is_too_low_for_one_call_is_told() -> None:
    low = make_estimate(limit_usd=0.002)
    said = "The limit of $0.0020 is too low for a single call, which may cost $0.0030"

    assert format_estimate(low).endswith(said)
    assert f"{said}." in explain_estimate(low)


def test_model_without_a_price_is_named_beside_the_cost_of_the_others() -> None:
    estimate = estimate_plan(VOTED, PRICED, JUDGE, None)

    assert ", likely $" in format_estimate(estimate)
    assert format_estimate(estimate).endswith("; no price is known for openai/judge: its cost is not counted")
    assert "No price is known for openai/judge: its cost is not counted." in explain_estimate(estimate)


def test_cost_of_nothing_but_models_without_a_price_is_no_number() -> None:
    line = format_estimate(estimate_plan(VOTED, CHAT, JUDGE, None))

    assert "$" not in line
    assert line.endswith("; no price is known for openai/test, openai/judge: their cost is not counted")


def test_free_model_costs_nothing_and_has_no_use_for_a_limit() -> None:
    estimate = estimate_plan(make_test_plan(), replace(PLAIN, price=FREE), None, 1.0)

    assert format_estimate(estimate).endswith(" out; it costs nothing")
    assert ("embedded/test costs nothing.",) == explain_estimate(estimate)


def test_prices_limit_and_thinking_are_explained() -> None:
    estimate = estimate_plan(make_test_plan(), replace(PRICED, thinks=True), None, 10.0)

    assert (
        "Price of openai/priced: $0.40 in and $1.60 out for a million tokens.",
        "A run ends before it passes its limit of $10.00.",
        "What openai/priced may think before an answer is billed like the answer: high counts all of it, low and "
        "likely count none.",
    ) == explain_estimate(estimate)


def test_need_is_told_as_more_and_as_a_limit() -> None:
    reached = BudgetError("The limit is reached")
    told = [explain_budget(reached, make_estimate(), *so_far) for so_far in ((1.5, 6, 2), (0.05,), (20.0,))]

    # $1.50 for six is $0.25 each; $0.20 are likely, and $20.00 more than all that was thought of.
    assert [
        "The limit is reached. The rest would need about $0.50 more, a limit of $2.00 in all",
        "The limit is reached. The rest would need about $0.15 more, a limit of $0.20 in all",
        "The limit is reached. How much the rest would need is not known: nothing has been kept so far",
    ] == [str(error) for error in told]
