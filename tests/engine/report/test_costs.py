"""The costs of a run: rows and what they share are all that was spent, and no number stands for what is not known."""

from dataclasses import replace

from fakes import builders
from fakes.builders import make_exemplar, make_level, make_pair, make_test_plan

from engine.choosing.rounds import Rounds
from engine.llm.client.request import Reply
from engine.llm.gateway.budget import RunBudget
from engine.report.costs import (
    Bill,
    PoleCost,
    describe_costs,
    describe_spending,
    list_remarks,
    make_bill,
    sum_costs,
)
from engine.text.formatting import format_cost


def make_rounds(cost: float | None = 0.1) -> Rounds:
    """Two exemplars kept at each pole and one rejected at the positive one, at so much each."""
    made = [*make_pair(0), *make_pair(1), make_exemplar(None, "positive", 2, reason="refused")]
    plan = make_test_plan(level=make_level(2))
    return builders.make_rounds(plan, *(replace(exemplar, cost_usd=cost) for exemplar in made))


def test_document_names_everything_that_money_went_to_and_rows_and_what_they_share_are_the_whole() -> None:
    bill = Bill(0.52, 6, 2400, 1024, 0.003, 480, limit_usd=1.0, unpriced=("openai/judge",))
    document = describe_costs(sum_costs(make_rounds(), bill))

    assert {
        "positive": {"usd": 0.3, "kept": 2, "usd_per_kept": 0.15},
        "negative": {"usd": 0.2, "kept": 2, "usd_per_kept": 0.1},
    } == document["by_trait"]["clarity"]
    assert (0.52, 0.02, 0.13) == (document["usd"], document["shared_usd"], document["per_kept_sample_usd"])
    assert (6, 2400, 1.0, ["openai/judge"]) == tuple(
        document[name] for name in ("replies", "prompt_tokens", "limit_usd", "unpriced")
    )
    # 5 × 0.1 in floats is a hair off 0.5 when it is added up in two parts.
    assert "0.0" == str(sum_costs(make_rounds(), Bill(0.5)).shared_usd)


def test_costs_without_a_price_and_those_for_each_kept_where_none_was_are_not_known() -> None:
    costs = sum_costs(make_rounds(None), Bill(replies=5, unpriced=("openai/test",)))

    assert [None, None] == [pole.usd for pole in costs.poles]
    assert (None, None, False) == (costs.shared_usd, costs.per_kept_usd, costs.bill.is_free)
    assert None is PoleCost("clarity", "positive", 0.2, kept=0).usd_per_kept


def test_run_is_free_where_nothing_was_paid_and_nothing_may_have_been() -> None:
    free = Bill(0.0)
    bills = (
        replace(free, unanswered_calls=1),
        replace(free, unpriced=("openai/judge",)),
        replace(free, unanswered_usd=0.1),
    )

    assert [True, False, False] == [bill.is_free for bill in bills]
    assert not Bill(0.1).is_free


def test_replies_of_a_round_that_was_cut_short_are_shared() -> None:
    budget = RunBudget(4, max_cost_usd=2.0)
    for cost in (0.1, 0.1, 0.1, 0.1, 0.1, 0.04, 0.03):
        budget.count(Reply("", "stop", 400, 80, cost), reused=False)
    costs = sum_costs(make_rounds(), make_bill(budget))

    assert (0.07, 2.0) == (costs.shared_usd, costs.bill.limit_usd)
    assert (7, 0.57) == (costs.bill.replies, describe_costs(costs)["usd"])


FREE = Bill(0.0, limit_usd=1.0)


def test_limit_cache_calls_without_reply_and_models_without_a_price_are_remarked() -> None:
    bill = Bill(
        0.52, saved_usd=0.004, limit_usd=1.0, unpriced=("openai/judge",), unanswered_calls=2, unanswered_usd=0.01
    )
    limit, cache, unanswered, price = list_remarks(bill)

    assert ("$1.00" in limit, "saved $0.0040" in cache) == (True, True)
    assert "2 calls had no reply. The provider may have billed that all the same, for $0.0100 at most" in unanswered
    assert "No price is known for openai/judge: its cost is not counted." == price
    assert [] == list_remarks(FREE)


def test_cost_is_told_in_a_few_words() -> None:
    told = [FREE, Bill(0.52), Bill(0.52, unpriced=("openai/judge",)), Bill(unpriced=("openai/a", "openai/b")), Bill()]

    assert ["nothing", "$0.52", "$0.52 without openai/judge", "not known for openai/a, openai/b", "not known"] == [
        describe_spending(bill) for bill in told
    ]


def test_cost_keeps_two_digits_that_count() -> None:
    assert ["not known", "$0.00", "$0.00000029", "$0.00029", "$0.0012", "$0.0999", "$12.50"] == [
        format_cost(usd) for usd in (None, 0, 2.88e-7, 0.000288, 0.0012, 0.0999, 12.5)
    ]
