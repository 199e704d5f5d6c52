"""The report's words on money: never a number for what is not known, and nothing where nothing was paid."""

from engine.report.cost_tables import describe_spending, list_pole_costs, list_remarks
from engine.report.costs import Attempt, Costs, PoleCost, Spending
from engine.report.wording import TraitWords
from engine.text.formatting import format_cost

CLARITY = TraitWords("clarity", "Clarity", {"positive": "Clear", "negative": "Obscure"})
FREE = Costs(Spending(usd=0.0), attempt=Attempt(limit_usd=1.0))


def test_limit_cache_calls_without_reply_and_models_without_a_price_are_remarked() -> None:
    spending = Spending(usd=0.52, cached_tokens=2048, saved_usd=0.004)
    attempt = Attempt(1.0, ("openai/judge",), unanswered_calls=2, unanswered_usd=0.01)
    limit, cache, unanswered, price = list_remarks(Costs(spending, attempt=attempt))

    assert ("$1.00" in limit, "which saved $0.0040" in cache) == (True, True)
    assert "2 calls had no reply. The provider may have billed them all the same, for $0.0100 at" in unanswered
    assert "No price is known for openai/judge: its cost is not counted." == price
    assert [] == list_remarks(FREE)


def test_what_was_free_or_has_no_price_has_no_table_and_is_told_in_a_few_words() -> None:
    poles = (PoleCost("clarity", "positive", 0.3, 2), PoleCost("clarity", "negative", 0.2, 0))
    paid, unknown = Costs(Spending(usd=0.52), poles, shared_usd=0.02), Costs(poles=poles)
    judge, both = Attempt(unpriced=("openai/judge",)), Attempt(unpriced=("openai/a", "openai/b"))
    told = [FREE, paid, Costs(Spending(usd=0.52), attempt=judge), Costs(attempt=both), unknown]

    assert ["nothing", "$0.52", "$0.52 without openai/judge", "not known for openai/a, openai/b", "not known"] == [
        describe_spending(costs) for costs in told
    ]
    assert ["$0.15", "–"] == [row.per_kept for row in list_pole_costs(paid, [CLARITY])]
    assert [[], []] == [list_pole_costs(costs, [CLARITY]) for costs in (FREE, unknown)]


def test_cost_keeps_two_digits_that_count() -> None:
    assert ["not known", "$0.00", "$0.00000029", "$0.00029", "$0.0012", "$0.0999", "$12.50"] == [
        format_cost(usd) for usd in (None, 0, 2.88e-7, 0.000288, 0.0012, 0.0999, 12.5)
    ]
