"""The estimate: calls times characters and replies, at a price; a price that is not known is no price of nothing."""

from dataclasses import replace

import pytest
from fakes.builders import make_level, make_test_plan
from fakes.client import CHAT, PLAIN

from engine.asking.plan import Plan
from engine.estimate.call_kinds import CallKind, Example, Spread, list_calls
from engine.estimate.estimate import Amount, Estimate, estimate_calls
from engine.llm.client.prices import FREE, Price
from engine.llm.client.request import Endpoint, Prompt, Request
from engine.llm.gateway.budget import bound_call

PRICE = Price(input_usd=1e-6, output_usd=4e-6)
PRICED = replace(CHAT, price=PRICE)


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
    costs = [bound_call(one.request, PRICED).usd for kind in list_calls(plan, PRICED) for one in kind.examples]

    assert max(cost or 0.0 for cost in costs) == estimate_plan(plan, PRICED).max_call_usd
    assert estimate_plan(plan, CHAT).max_call_usd is None
