"""The costs of a run come to the same sum, whatever the order in which its replies came."""

import itertools

from engine.gateway.budget import RunBudget
from engine.llm.request import Reply


def spend(*costs: float | None) -> RunBudget:
    budget = RunBudget(4)
    for cost in costs:
        budget.count(Reply("", "stop", cost_usd=cost), reused=False)
    return budget


def test_sum_of_costs_does_not_depend_on_their_order() -> None:
    costs = (0.1, 0.2, 0.3, 1e-9)

    assert 1 == len({spend(*order).cost_usd for order in itertools.permutations(costs)})


def test_cost_of_what_has_no_price_is_not_known() -> None:
    assert spend(None, None).cost_usd is None
    assert 0.2 == spend(None, 0.2).cost_usd
    assert 0.0 == spend(0.0).cost_usd
