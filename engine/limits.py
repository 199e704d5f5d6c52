"""Limits: what one run may have in flight and spend, over all the models that it asks, and what it has used."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from engine.errors import BudgetError
from engine.llm.request import Endpoint, Reply
from engine.purse import Purse
from engine.replies.replies import Lost


class Limits:
    """The limits of one run, shared by all who ask for it, and the counts of what they asked.

    ``ends`` says that an error of a call ends the run: what is in flight is paid for, and waited for.

    Args:
        concurrency: calls in flight, of all models together.
        max_cost_usd: what the plan may cost, by all runs that asked for it; None where there is no limit.
        shared: what this run and others may spend together.
    """

    def __init__(self, concurrency: int, max_cost_usd: float | None = None, shared: Purse | None = None) -> None:
        self.concurrency = concurrency
        self.max_cost_usd = max_cost_usd
        self.in_flight = asyncio.Semaphore(concurrency)
        self.calls = 0
        self.replies = 0
        self.tokens = 0
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.saved_usd = 0.0
        self.unanswered_calls = 0
        self.unanswered_usd = 0.0
        self.unpriced: set[str] = set()
        self._costs: list[float] = []
        self._own = Purse(max_cost_usd, lambda bound_usd: BudgetError(self._explain(bound_usd)))
        self._purses = (self._own, shared) if shared else (self._own,)
        self.ends = False
        self._plans: set[str] = set()

    @property
    def cost_usd(self) -> float | None:
        """What the replies cost, whatever the order in which they came; None where no price is known."""
        return math.fsum(self._costs) if self._costs else None

    @property
    def spent_usd(self) -> float:
        """What is spent of the limit, by earlier runs of the plan too; what may have been billed counts as spent."""
        return self._own.spent_usd

    def open_plan(self, plan_id: str, kept_usd: float, lost: Lost) -> None:
        """Counts, once, what earlier runs of a plan have spent: for kept replies, and for calls that were lost."""
        if plan_id in self._plans:
            return
        self._plans.add(plan_id)
        self._own.spend(kept_usd)
        self._own.spend(lost.bound_usd)
        self.unanswered_calls += lost.calls
        self.unanswered_usd += lost.bound_usd

    @asynccontextmanager
    async def reserving(self, bound_usd: float | None) -> AsyncIterator[None]:
        """The time of one call: what it can cost at most is set aside before it is made.

        Raises:
            BudgetError: with it the run could cost more than it may.
        """
        async with AsyncExitStack() as stack:
            for purse in self._purses:
                await stack.enter_async_context(purse.reserving(bound_usd or 0.0))
            yield

    def count(self, reply: Reply, reused: bool, endpoint: Endpoint | None = None) -> None:
        """Counts a reply of an endpoint; a kept one was paid for too, by the run that asked."""
        self.replies += 1
        self.calls += not reused
        self.tokens += reply.completion_tokens
        self.prompt_tokens += reply.prompt_tokens
        self.cached_tokens += reply.cached_tokens
        if reply.cost_usd is not None:
            self._costs.append(reply.cost_usd)
            if not reused:
                self._spend(reply.cost_usd)
        elif endpoint is not None:
            self.unpriced.add(reply.model or endpoint.name)
        if endpoint is not None and endpoint.price is not None and reply.model is None:
            self.saved_usd += endpoint.price.save(reply.cached_tokens)

    def count_unanswered(self, bound_usd: float | None) -> None:
        """Counts a call of which no reply came though it may have been billed: at the most that it can have cost."""
        self.unanswered_calls += 1
        self.unanswered_usd += bound_usd or 0.0
        self._spend(bound_usd or 0.0)

    def _spend(self, usd: float) -> None:
        for purse in self._purses:
            purse.spend(usd)

    def _explain(self, bound_usd: float) -> str:
        broken = f"{self.unanswered_calls} calls that broke off and may have been billed"
        unanswered = f" (${self.unanswered_usd:.4f} of it for {broken})" if self.unanswered_usd else ""
        return (
            f"The run's limit of ${self.max_cost_usd:g} is reached: ${self.spent_usd:.4f} is spent{unanswered}, and "
            f"the next call could cost ${bound_usd:.4f}. Raise EXEMPLARS_MAX_COST_USD or max_cost_usd in the effort "
            "file and start again: the replies are kept and not paid twice"
        )
