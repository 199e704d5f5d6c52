"""The budget is never overdrawn by any caller, and a waiting call is admitted as soon as there is room."""

import asyncio
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BudgetError, SharedBudgetError
from engine.llm.client.request import Reply
from engine.llm.gateway.budget import Budget, RunBudget


def make_shared_budget(max_usd: float | None) -> Budget:
    return Budget(max_usd, lambda ceiling_usd: SharedBudgetError(f"no ${ceiling_usd:g} left"))


async def call(budget: RunBudget, ceiling_usd: float, cost_usd: float, answered: asyncio.Event | None = None) -> None:
    async with budget.reserving(ceiling_usd):
        if answered is not None:
            await answered.wait()
        budget.count(Reply("", "stop", cost_usd=cost_usd), reused=False)


async def test_what_runs_spend_together_is_bounded_by_the_budget_that_they_share() -> None:
    budget = make_shared_budget(1.0)
    first, second = RunBudget(4, 5.0, budget), RunBudget(4, 5.0, budget)
    await call(first, 0.6, 0.5)
    await call(second, 0.4, 0.3)
    with pytest.raises(SharedBudgetError, match=r"no \$0.3 left"):
        await call(first, 0.3, 0.3)
    # After one that was refused all are, cheap ones too: which runs get to their end must not hang on luck.
    with pytest.raises(SharedBudgetError, match=r"no \$0.3 left"):
        await call(second, 0.1, 0.1)

    # A run's own limit holds beside a shared budget that has enough.
    with pytest.raises(BudgetError, match=r"limit of \$0.5"):
        await call(RunBudget(4, 0.5, make_shared_budget(10.0)), 0.6, 0.6)

    assert (0.8, 0.5, 0.3) == (budget.spent_usd, first.spent_usd, second.spent_usd)


def test_what_is_set_aside_comes_back_but_for_what_is_spent_and_a_call_that_broke_off_counts_at_its_most() -> None:
    budget = make_shared_budget(1.0)
    run_budget = RunBudget(4, 5.0, budget)
    budget.set_aside(0.7)
    left = budget.left_usd
    budget.release(0.7, 0.2)
    run_budget.count_unanswered(0.25)
    # Kept replies cost the plan, and not the shared budget.
    run_budget.count(Reply("", "stop", cost_usd=0.4), reused=True)

    assert pytest.approx([0.3, 0.55, 0.45]) == [left, budget.left_usd, budget.spent_usd]
    assert 0.4 == run_budget.cost_usd


# Thousandths of a dollar, which no float represents: their sums reach limits exactly, except for the last bits.
USD = st.integers(1, 30).map(lambda thousandths: thousandths / 1000)


@given(limit=USD, calls=st.lists(st.tuples(USD, st.sampled_from([0.0, 0.3, 1.0])), max_size=40))
async def test_limit_is_never_passed_by_calls_that_end_in_any_order(
    limit: float, calls: list[tuple[float, float]]
) -> None:
    budget, paid, highest = RunBudget(4, limit), [], Fraction(0)

    async def ask(ceiling_usd: float, share: float) -> None:
        nonlocal highest
        async with budget.reserving(ceiling_usd):
            # Cheap calls end first.
            for _ in range(int(10 * share)):
                await asyncio.sleep(0)
            paid.append(Fraction(share * ceiling_usd))
            budget.count(Reply("", "stop", cost_usd=share * ceiling_usd), reused=False)
            highest = max(highest, sum(paid, Fraction(0)))

    ended = await asyncio.gather(*(ask(*call) for call in calls), return_exceptions=True)

    assert {BudgetError} >= {type(error) for error in ended if error is not None}
    assert highest <= Fraction(limit) + Fraction(1e-8)
    assert round(budget.spent_usd, 9) <= round(limit, 9)
    assert float(sum(paid, Fraction(0))) == pytest.approx(budget.spent_usd, rel=1e-9)


@pytest.mark.parametrize(("cost", "times"), [(0.1, 3), (0.001, 1000), (1e-6, 7)])
async def test_limit_that_costs_reach_exactly_is_spent_to_the_last_call(cost: float, times: int) -> None:
    budget = RunBudget(1, float(f"{cost * times:.9f}"))
    for _ in range(times):
        await call(budget, cost, cost)
    with pytest.raises(BudgetError, match="is reached"):
        await call(budget, cost, cost)

    assert f"{cost * times:.9f}" == f"{budget.spent_usd:.9f}"
