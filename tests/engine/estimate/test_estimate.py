"""The estimate: calls times characters and replies, at a price; a price that is not known is no price of nothing."""

from dataclasses import replace

import pytest
from fakes.builders import make_level, make_test_plan
from fakes.client import CHAT, PLAIN

from engine.asking.plan import Plan
from engine.errors import BudgetError, SharedBudgetError
from engine.estimate.call_kinds import CallKind, Example, Spread, list_calls
from engine.estimate.estimate import Amount, Estimate, estimate_calls, explain_budget, explain_estimate, format_estimate
from engine.llm.client.prices import FREE, Price
from engine.llm.client.request import Endpoint, Prompt, Request
from engine.llm.gateway.budget import find_ceiling

PRICE = Price(input_usd=1e-6, output_usd=4e-6)
PRICED = replace(CHAT, price=PRICE)
LISTED = replace(CHAT, name="openai/priced", price=Price(4e-7, 1.6e-6))
AMOUNTS = (
    Amount(385, 391_398, 26_484, 0.2),
    Amount(8_961, 11_144_544, 4_660_560, 11.914),
)


def make_example(chars: int, schema: dict[str, object] | None = None) -> Example:
    return Example("one", Request(Prompt("u" * (chars - 8), "s" * 8), max_tokens=100, temperature=0.0, schema=schema))


def estimate_plan(
    plan: Plan, endpoint: Endpoint, judge: Endpoint | None = None, limit: float | None = None
) -> Estimate:
    return estimate_calls(list_calls(plan, endpoint, judge), limit)


def make_kind(*examples: Example) -> CallKind:
    return CallKind("exemplars", PRICED, Spread(20, 90), Spread(7.25, 100), examples)


def test_tokens_are_calls_times_characters_by_the_ratio_and_calls_times_replies() -> None:
    estimate = estimate_calls([make_kind(make_example(88))]).total
    two = estimate_calls([make_kind(make_example(40), make_example(34, schema={"type": "object"}))]).total

    # 20 × 88 ÷ 4.4 = 400; 90 × 88 ÷ 3.6 = 2,200.
    assert [(20, 400, 145), (90, 2200, 9000)] == [
        (amount.calls, amount.tokens_in, amount.tokens_out) for amount in (estimate.likely, estimate.most)
    ]
    # 400 × $1 and 145 × $4 for a million.
    assert 0.00098 == round(estimate.likely.cost_usd or 0, 9)
    # (40 + 34 + 18 of {"type": "object"}) ÷ 2 = 46 characters; 20 × 46 ÷ 4.4 = 209.1.
    assert 210 == two.likely.tokens_in


def test_run_is_the_sum_of_its_kinds_and_costs_what_those_do_whose_price_is_known() -> None:
    kind = make_kind(make_example(88))
    unpriced = replace(kind, endpoint=PLAIN)

    assert Amount(40, 800, 290, 2 * PRICE.cost(400, 145)) == estimate_calls([kind, kind]).total.likely
    assert Amount(40, 800, 290, PRICE.cost(400, 145)) == estimate_calls([kind, unpriced]).total.likely
    assert estimate_calls([unpriced]).total.most.cost_usd is None


@pytest.mark.parametrize(
    ("synth", "judge", "unpriced", "free"),
    [
        (None, None, ("openai/test", "openai/judge"), False),
        (PRICE, None, ("openai/judge",), False),
        (FREE, FREE, (), True),
    ],
)
def test_models_without_a_price_are_named_and_never_free(
    synth: Price | None, judge: Price | None, unpriced: tuple[str, ...], free: bool
) -> None:
    endpoints = replace(CHAT, price=synth), replace(CHAT, name="openai/judge", price=judge)
    estimate = estimate_plan(make_test_plan(level=make_level(judge_votes=1)), *endpoints)

    assert (unpriced, free) == (estimate.unpriced, estimate.is_free)


@pytest.mark.parametrize(("thinking", "room"), [("none", 2048), ("low", 4096), ("high", 16384)])
def test_all_that_a_model_may_think_counts_in_the_bound_alone(thinking: str, room: int) -> None:
    plan = make_test_plan(level=make_level(thinking=thinking))
    plain, thought = (estimate_plan(plan, replace(PRICED, thinks=thinks)).total for thinks in (False, True))

    assert plain.likely == thought.likely
    # Subjects are asked for without thinking, and who thinks has room for it all the same.
    assert 2048 + 2 * 80 * room == thought.most.tokens_out - plain.most.tokens_out


def test_dearest_call_is_known_before_any_is_made() -> None:
    plan = make_test_plan()
    costs = [find_ceiling(one.request, PRICED).usd for kind in list_calls(plan, PRICED) for one in kind.examples]

    assert max(cost or 0.0 for cost in costs) == estimate_plan(plan, PRICED).max_call_usd
    assert estimate_plan(plan, CHAT).max_call_usd is None


def make_estimate(limit_usd: float | None = None, kept: int | None = None) -> Estimate:
    return Estimate(
        (), Spread(*AMOUNTS), {LISTED.name: LISTED.price}, 0.003, limit_usd=limit_usd, kept=kept, seconds=171.0
    )


def test_estimate_is_one_line() -> None:
    free = estimate_calls(list_calls(make_test_plan(), replace(PLAIN, price=FREE)), 1.0)

    assert (
        "Estimate: 385 calls (at most 8,961), about 3 min; 391 k tokens in (at most 11.1 M), 26 k out (at most 4.7 M); "
        "$0.20 (at most $11.91); the limit is $10.00; 57 replies kept already, which cost nothing more"
    ) == format_estimate(make_estimate(limit_usd=10.0, kept=57))
    assert format_estimate(free).endswith("); it costs nothing")
    assert ("embedded/test costs nothing.",) == explain_estimate(free)[1:]


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
