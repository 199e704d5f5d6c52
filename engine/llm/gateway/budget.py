"""The budget: what a run may have in flight and spend over all the models that it asks, and what it has spent.

The most that a call can cost is known before it is made, and is reserved while the call is in flight.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from engine.errors import BudgetError
from engine.llm.client.prices import Price, add_costs
from engine.llm.client.request import Endpoint, Reply, Request
from engine.llm.replies.changes import TINY_USD, SharedLimit
from engine.llm.replies.replies import UnconfirmedCalls
from engine.text.formatting import count_noun

# What wraps the messages: roles, separators, the words around a schema. OpenAI counts 3 tokens a message and 3 a reply.
WRAPPING_TOKENS = 400
# Cells under way for each call that may be in flight: some wait until they are asked again, and the others are not to
# wait for them.
CELLS_PER_CALL = 8


@dataclass(frozen=True, slots=True)
class CostCeiling:
    """The most tokens that one call can take, and their cost at list price; None where there is no price."""

    tokens_in: int
    tokens_out: int
    usd: float | None

    @property
    def tokens(self) -> int:
        """Prompt and reply together."""
        return self.tokens_in + self.tokens_out


def find_ceiling(request: Request, endpoint: Endpoint) -> CostCeiling:
    """The most tokens that one call can take.

    A tokenizer that works on bytes makes no more tokens of a text than it has bytes in UTF-8 (GPT-2's, section 2.2, and
    all that followed it; those of SentencePiece fall back on bytes). English has four bytes a token, so the bound is
    wide; it is reserved only while the call is in flight.
    """
    prompt = sum(len(text.encode()) for _, text in request.prompt.messages)
    form = len(json.dumps(request.form, ensure_ascii=False).encode()) if request.form else 0
    tokens_in = prompt + form + WRAPPING_TOKENS
    tokens_out = request.count_max_tokens(endpoint.thinks)
    price = endpoint.price
    return CostCeiling(tokens_in, tokens_out, None if price is None else price.bound_cost(tokens_in, tokens_out))


@dataclass(eq=False)
class Budget:
    """Money that calls share and never overdraw: what may be spent, is spent, and is reserved; for one event loop.

    ``unconfirmed_usd`` is the part of what is spent that counts for calls without a reply.

    Args:
        max_usd: None where there is no limit: then it only counts.
        refuse: makes the error for a call of this bound in USD, for which there is no money left.
        limit: the same limit as it stands in the database of replies, for the processes that spend under it with this
            one; None where there are none, or where each has a share of its own.
    """

    max_usd: float | None
    refuse: Callable[[float], BudgetError]
    limit: SharedLimit | None = None
    spent_usd: float = 0.0
    unconfirmed_usd: float = 0.0
    _reserved: list[float] = field(default_factory=list)
    _refusal: BudgetError | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def left_usd(self) -> float:
        """What is neither spent nor reserved, in USD; infinite without a limit."""
        committed = math.fsum((self.spent_usd, *self._reserved))
        return math.inf if self.max_usd is None else max(0.0, self.max_usd - committed)

    def set_aside(self, usd: float) -> None:
        """Reserves money for others to spend, until they ``settle``."""
        self._reserved.append(usd)

    def settle(self, set_aside_usd: float, spent_usd: float) -> None:
        """Counts what was spent of a reservation, and releases the rest."""
        self._reserved.remove(set_aside_usd)
        self.spend(spent_usd)
        self._ended.set()

    def spend(self, usd: float) -> None:
        """Counts what was paid, or may have been; nothing that is told of a call makes it less."""
        self.spent_usd += max(0.0, usd)

    @asynccontextmanager
    async def reserving(self, ceiling_usd: float) -> AsyncIterator[None]:
        """Reserves, inside the block, the most that one call can cost.

        Where there is no room beside the calls in flight, their end is waited for: they may cost less. So nothing is in
        flight when the money is spent, and no reply is paid for and lost.

        Raises:
            BudgetError: with this call more could be spent than there is.
        """
        while self._refusal or ceiling_usd > self.left_usd + TINY_USD:
            if not self._reserved or self._refusal:
                # A cheaper call might still fit, and would be cancelled in flight by the end of the run.
                self._refusal = self._refusal or self.refuse(ceiling_usd)
                raise self._refusal.with_traceback(None)
            self._ended.clear()
            await self._ended.wait()
        self.set_aside(ceiling_usd)
        try:
            yield
        finally:
            self.settle(ceiling_usd, 0.0)


class RunBudget(Budget):
    """The limits of one run over all the models that it asks, and the counts of what it has used.

    What it has spent counts what earlier runs of its plan have, and at their most the calls that may have been billed.
    ``under_way`` is for cells, in the order in which they come: their prompts are written when they are about to be
    asked, not all before the first. ``ends`` says that the error of a call ends the run: calls in flight are paid for,
    so they are waited for. ``cached_tokens`` are prompt tokens that the provider had in its cache, ``unpriced`` the
    models that had no price, and ``unanswered_calls`` brought no reply: the provider may have billed them nevertheless,
    for ``unconfirmed_usd`` at most. ``saved_usd`` is how much more the replies at one of ``batch_prices``, by the
    model's name, would have cost live.

    Args:
        concurrency: calls in flight, of all models together.
        max_cost_usd: what the plan may cost, by all runs that ask for it; None where there is no limit.
        shared: what this run and others may spend together.
    """

    def __init__(self, concurrency: int, max_cost_usd: float | None = None, shared: Budget | None = None) -> None:
        super().__init__(max_cost_usd, self._refuse, shared.limit if shared else None)
        self.concurrency = concurrency
        self.in_flight = asyncio.Semaphore(concurrency)
        self.under_way = asyncio.Semaphore(CELLS_PER_CALL * concurrency)
        self.calls = 0
        self.replies = 0
        self.tokens = 0
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.unanswered_calls = 0
        self.unpriced: set[str] = set()
        self.batch_prices: dict[str, Price] = {}
        self.saved_usd = 0.0
        self._costs: list[float | None] = []
        self._shared = shared
        self.ends = False
        self._plans: set[str] = set()

    @property
    def cost_usd(self) -> float | None:
        """What the replies cost, in USD; None where no price is known."""
        return add_costs(*self._costs)

    @property
    def is_free(self) -> bool:
        """Whether the price of every call is known and nothing was paid."""
        return self.cost_usd == 0 and not self.unpriced and not self.unconfirmed_usd

    def open_plan(self, plan_id: str, kept_usd: float, lost: UnconfirmedCalls) -> None:
        """Counts, once, what earlier runs of a plan have spent: for kept replies, and for calls that were lost."""
        if plan_id in self._plans:
            return
        self._plans.add(plan_id)
        super().spend(kept_usd + lost.ceiling_usd)
        self.unanswered_calls += lost.calls
        self.unconfirmed_usd += lost.ceiling_usd

    @asynccontextmanager
    async def reserving(self, ceiling_usd: float | None) -> AsyncIterator[None]:
        """Reserves, inside the block, the most that one call can cost.

        Raises:
            BudgetError: with this call the run could cost more than it may.
        """
        shared = self._shared.reserving(ceiling_usd or 0.0) if self._shared else nullcontext()
        async with super().reserving(ceiling_usd or 0.0), shared:
            yield

    def spend(self, usd: float) -> None:
        """Counts what was paid, or may have been, of what is shared too."""
        super().spend(usd)
        if self._shared:
            self._shared.spend(usd)

    def count(self, reply: Reply, reused: bool, endpoint: Endpoint | None = None) -> None:
        """Counts a reply. A kept one costs nothing now: the run that asked for it has paid."""
        self.replies += 1
        self.calls += not reused
        self.tokens += reply.completion_tokens
        self.prompt_tokens += reply.prompt_tokens
        self.cached_tokens += reply.cached_tokens
        self._costs.append(reply.cost_usd)
        if reply.cost_usd is None and endpoint is not None:
            self.unpriced.add(endpoint.name)
        if endpoint is not None and endpoint.price is not None and endpoint.name in self.batch_prices:
            tokens = reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens
            if reply.cost_usd and math.isclose(reply.cost_usd, self.batch_prices[endpoint.name].cost(*tokens)):
                self.saved_usd += endpoint.price.cost(*tokens) - reply.cost_usd
        if not reused:
            self.spend(reply.cost_usd or 0.0)

    def count_unanswered(self, ceiling_usd: float | None) -> None:
        """Counts a call that brought no reply though it may have been billed, at the most that it can have cost."""
        self.unanswered_calls += 1
        self.unconfirmed_usd += ceiling_usd or 0.0
        self.spend(ceiling_usd or 0.0)
        if self._shared:
            self._shared.unconfirmed_usd += ceiling_usd or 0.0

    def _refuse(self, ceiling_usd: float) -> BudgetError:
        broken = f"{count_noun(self.unanswered_calls, 'call')} that broke off and may have been billed"
        unanswered = f" (${self.unconfirmed_usd:.4f} of it for {broken})" if self.unconfirmed_usd else ""
        return BudgetError(
            f"The run's limit of ${self.max_usd:g} is reached: ${self.spent_usd:.4f} is spent{unanswered}, and "
            f"the next call could cost ${ceiling_usd:.4f}. Raise EXEMPLARS_MAX_COST_USD or max_cost_usd in the effort "
            "file and start again: the replies are kept and not paid twice"
        )
