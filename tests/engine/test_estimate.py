"""The estimate: calls times characters and replies, at a price; a price that is not known is no price of nothing."""

from dataclasses import replace

from fakes.builders import make_test_plan
from fakes.client import CHAT, PLAIN

from engine.calls import CallKind, Example, Spread, list_calls
from engine.estimate import Amount, estimate_kind, estimate_run
from engine.llm import Request
from engine.prices import Price
from engine.prompting import Prompt

PRICE = Price(input_usd=1e-6, output_usd=4e-6)
PRICED = replace(CHAT, price=PRICE)


def make_example(chars: int, schema: dict[str, object] | None = None) -> Example:
    return Example("one", Request(Prompt("u" * (chars - 8), "s" * 8), max_tokens=100, temperature=0.0, schema=schema))


def make_kind(*examples: Example) -> CallKind:
    return CallKind("exemplars", PRICED, Spread(10, 20, 90), Spread(3, 7.25, 100), examples)


def test_tokens_are_calls_times_characters_by_the_ratio_and_calls_times_replies() -> None:
    estimate = estimate_kind(make_kind(make_example(88)))

    # 10 × 88 ÷ 4.8 = 183.3; 20 × 88 ÷ 4.4 = 400; 90 × 88 ÷ 3.6 = 2,200.
    assert [(10, 184, 30), (20, 400, 145), (90, 2200, 9000)] == [
        (amount.calls, amount.tokens_in, amount.tokens_out) for amount in (estimate.low, estimate.likely, estimate.high)
    ]
    # 400 × $1 and 145 × $4 for a million.
    assert 0.00098 == round(estimate.likely.cost_usd or 0, 9)


def test_prompts_count_by_their_mean_and_with_their_schema() -> None:
    short, long = make_example(40), make_example(34, schema={"type": "object"})

    # (40 + 34 + 18 of {"type": "object"}) ÷ 2 = 46 characters.
    assert 20 * 46 / 4.4 < estimate_kind(make_kind(short, long)).likely.tokens_in == 210


def test_run_is_the_sum_of_its_kinds() -> None:
    kind = make_kind(make_example(88))
    total = estimate_run([kind, kind])

    assert Amount(40, 800, 290, 2 * PRICE.cost(400, 145)) == total.likely


def test_cost_is_not_known_where_the_price_of_one_kind_is_not() -> None:
    kind = make_kind(make_example(88))
    total = estimate_run([kind, replace(kind, endpoint=PLAIN)])

    assert [None, None, None] == [amount.cost_usd for amount in (total.low, total.likely, total.high)]
    assert 40 == total.likely.calls


def test_small_plan_by_hand() -> None:
    total = estimate_run(list_calls(make_test_plan(), PRICED))

    # One call for subjects and two poles; 240 + 2 × 8 × 29.75; 420 + 2 × ⌈12 × 43.1875⌉; 1,360 + 2 × 80 × 465.
    assert [(17, 716), (25, 1458), (161, 75760)] == [
        (amount.calls, amount.tokens_out) for amount in (total.low, total.likely, total.high)
    ]
