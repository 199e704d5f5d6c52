"""The budget is never overdrawn, whoever asks, and who waits for room is let in as soon as there is some."""

import asyncio

import pytest

from engine.errors import BudgetError, SharedBudgetError
from engine.gateway.budget import Budget, RunBudget
from engine.llm.request import Reply


def make_shared_budget(max_usd: float | None) -> Budget:
    return Budget(max_usd, lambda bound_usd: SharedBudgetError(f"no ${bound_usd:g} left"))


async def call(budget: RunBudget, bound_usd: float, cost_usd: float, answered: asyncio.Event | None = None) -> None:
    async with budget.reserving(bound_usd):
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

    assert (0.8, 0.5, 0.3) == (budget.spent_usd, first.spent_usd, second.spent_usd)


async def test_runs_own_limit_holds_beside_a_shared_budget_that_has_enough() -> None:
    budget = RunBudget(4, 0.5, make_shared_budget(10.0))
    with pytest.raises(BudgetError, match=r"limit of \$0.5"):
        await call(budget, 0.6, 0.6)


async def test_call_waits_for_those_of_other_runs_that_may_cost_less() -> None:
    budget, answered = make_shared_budget(1.0), asyncio.Event()
    first, second = RunBudget(4, None, budget), RunBudget(4, None, budget)
    slow = asyncio.create_task(call(first, 0.8, 0.1, answered))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(call(second, 0.8, 0.2))
    await asyncio.sleep(0.01)
    waited = not waiting.done()
    answered.set()
    await asyncio.gather(slow, waiting)

    assert waited
    assert pytest.approx(0.3) == budget.spent_usd


async def test_money_that_is_set_aside_for_others_is_taken_back_but_for_what_they_spent() -> None:
    budget = make_shared_budget(1.0)
    budget.set_aside(0.7)
    left = budget.left_usd
    budget.settle(0.7, 0.2)

    assert pytest.approx([0.3, 0.8, 0.2]) == [left, budget.left_usd, budget.spent_usd]


async def test_kept_replies_cost_the_plan_and_not_the_shared_budget() -> None:
    shared = make_shared_budget(1.0)
    budget = RunBudget(4, 5.0, shared)
    budget.count(Reply("", "stop", cost_usd=0.4), reused=True)

    assert (0.0, 0.4) == (shared.spent_usd, budget.cost_usd)


async def test_call_that_broke_off_counts_at_its_most() -> None:
    budget = make_shared_budget(1.0)
    RunBudget(4, 5.0, budget).count_unanswered(0.25)

    assert 0.25 == budget.spent_usd
