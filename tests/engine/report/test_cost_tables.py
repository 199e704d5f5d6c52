"""The report's words on money: never a number for what is not known, and nothing where nothing was paid."""

from engine.report.cost_tables import (
    CostRow,
    CostSum,
    describe_spending,
    format_tokens,
    list_pole_costs,
    list_remarks,
    list_sums,
)
from engine.report.costs import Attempt, Costs, PoleCost, Spending
from engine.report.wording import TraitWords
from engine.text.formatting import format_cost

CLARITY = TraitWords("clarity", "Clarity", {"positive": "Clear", "negative": "Obscure"})
POLES = (PoleCost("clarity", "positive", 0.3, 2), PoleCost("clarity", "negative", 0.2, 0))
PAID = Costs(Spending(usd=0.52), POLES, shared_usd=0.02)
FREE = Costs(Spending(usd=0.0), attempt=Attempt(limit_usd=1.0))


def test_table_has_a_row_for_each_pole_and_the_sums_and_what_was_free_or_has_no_price_has_none() -> None:
    assert [
        CostRow(CLARITY, "positive", "$0.30", "2", "$0.15"),
        CostRow(CLARITY, "negative", "$0.20", "0", "–"),
    ] == list_pole_costs(PAID, [CLARITY])
    assert [CostSum("Shared by all", "$0.0200"), CostSum("Together", "$0.52", "2", "$0.26")] == list_sums(PAID)
    assert [[], []] == [list_pole_costs(costs, [CLARITY]) for costs in (FREE, Costs(poles=POLES))]


def test_limit_cache_calls_without_reply_and_models_without_a_price_are_remarked() -> None:
    spending = Spending(usd=0.52, cached_tokens=2048, saved_usd=0.004)
    attempt = Attempt(1.0, ("openai/judge",), unanswered_calls=2, unanswered_usd=0.01)
    limit, cache, unanswered, price = list_remarks(Costs(spending, attempt=attempt))
    unpriced = Costs(Spending(cached_tokens=2048), attempt=Attempt(unanswered_calls=1))

    assert "The run's limit was $1.00." == limit
    assert "Of the tokens in, 2,048 were in the provider's cache, which saved $0.0040." == cache
    assert unanswered.startswith("2 calls had no reply. The provider may have billed them all the same, for $0.0100 at")
    assert "No price is known for openai/judge: its cost is not counted." == price
    assert [
        "Of the tokens in, 2,048 were in the provider's cache.",
        "1 call had no reply. The provider may have billed it all the same; it is not counted here.",
    ] == list_remarks(unpriced)
    assert [] == list_remarks(FREE)


def test_cost_is_told_in_a_few_words() -> None:
    judge, both = Attempt(unpriced=("openai/judge",)), Attempt(unpriced=("openai/a", "openai/b"))
    told = [FREE, PAID, Costs(Spending(usd=0.52), attempt=judge), Costs(attempt=both), Costs()]

    assert ["nothing", "$0.52", "$0.52 without openai/judge", "not known for openai/a, openai/b", "not known"] == [
        describe_spending(costs) for costs in told
    ]


def test_cost_keeps_two_digits_that_count_and_tokens_are_told_with_those_that_were_cached() -> None:
    assert ["not known", "$0.00", "$0.00000029", "$0.00029", "$0.0012", "$0.0999", "$12.50"] == [
        format_cost(usd) for usd in (None, 0, 2.88e-7, 0.000288, 0.0012, 0.0999, 12.5)
    ]
    assert "12,000 in, 800 out" == format_tokens(Spending(prompt_tokens=12_000, completion_tokens=800))
    assert "2,000 in, 300 of them cached, 0 out" == format_tokens(Spending(prompt_tokens=2_000, cached_tokens=300))
