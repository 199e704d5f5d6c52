"""The costs of a run are all that was spent, and no number stands for what is not known."""

from fakes.builders import make_budget

from engine.llm.client.prices import Price
from engine.llm.client.request import Endpoint, Reply
from engine.llm.gateway.budget import RunBudget
from engine.report.costs import describe_costs, describe_spending, list_remarks
from engine.text.formatting import format_cost


def test_document_names_everything_that_money_went_to() -> None:
    document = describe_costs(make_budget(0.52, 1.0, replies=6, prompt_tokens=2400, unpriced={"openai/judge"}), 4)

    assert (0.52, 0.13, 6, 2400, 1.0, ["openai/judge"]) == tuple(
        document[name] for name in ("usd", "per_kept_sample_usd", "replies", "prompt_tokens", "limit_usd", "unpriced")
    )


def test_costs_without_a_price_and_those_for_each_kept_where_none_was_are_not_known() -> None:
    for budget, kept in ((make_budget(unpriced={"openai/test"}), 4), (make_budget(0.2), 0)):
        assert None is describe_costs(budget, kept)["per_kept_sample_usd"]


def test_run_is_free_where_nothing_was_paid_and_nothing_may_have_been() -> None:
    counts: tuple[dict[str, object], ...] = (
        {"unanswered_calls": 1},
        {"unpriced": {"openai/judge"}},
        {"unconfirmed_usd": 0.1},
    )

    assert [True, False, False] == [make_budget(0.0, None, **its).is_free for its in counts]
    assert not make_budget(0.1).is_free


def test_cost_is_of_all_replies() -> None:
    budget = RunBudget(4, max_cost_usd=2.0)
    for cost in (0.1, 0.04, 0.03):
        budget.count(Reply("", "stop", 400, 80, cost), reused=False)
    document = describe_costs(budget, 1)

    assert (3, 0.17, 2.0) == tuple(document[name] for name in ("replies", "usd", "limit_usd"))


FREE = make_budget(0.0, 1.0)


def test_limit_calls_without_reply_and_models_without_a_price_are_remarked() -> None:
    budget = make_budget(0.52, 1.0, unpriced={"openai/judge"}, unanswered_calls=2, unconfirmed_usd=0.01)
    limit, unanswered, price = list_remarks(budget)

    assert "$1.00" in limit
    assert "2 calls had no reply. The provider may have billed that all the same, for $0.0100 at most" in unanswered
    assert "No price is known for openai/judge: its cost is not counted." == price
    assert [] == list_remarks(FREE)


def test_what_batches_saved_is_remarked() -> None:
    budget, live, batched = RunBudget(4), Price(2e-3, 4e-3), Price(1e-3, 2e-3)
    endpoint = Endpoint("openai/test", "openai/test", "", price=live)
    budget.batch_prices["openai/test"] = batched
    for price in (batched, batched, live):
        budget.count(Reply("", "stop", 10, 5, price.cost(10, 5)), reused=True, endpoint=endpoint)

    assert ["Live, it would have cost $0.0400 more: batches saved that."] == list_remarks(budget)


def test_cost_is_told_in_a_few_words() -> None:
    judge, both = {"openai/judge"}, {"openai/b", "openai/a"}
    budgets = make_budget(0.52), make_budget(0.52, unpriced=judge), make_budget(unpriced=both), make_budget()

    assert ["nothing", "$0.52", "$0.52 without openai/judge", "not known for openai/a, openai/b", "not known"] == [
        describe_spending(budget) for budget in (FREE, *budgets)
    ]


def test_cost_keeps_two_digits_that_count() -> None:
    assert ["not known", "$0.00", "$0.00000029", "$0.00029", "$0.0012", "$0.0999", "$12.50"] == [
        format_cost(usd) for usd in (None, 0, 2.88e-7, 0.000288, 0.0012, 0.0999, 12.5)
    ]
