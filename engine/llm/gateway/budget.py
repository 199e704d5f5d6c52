"""The budget of a run over all its models: limits on calls in flight and on cost, and the amounts used.

The maximum cost of a call is known in advance, and is reserved while the call is in flight.
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

# Tokens around the messages: roles, separators, text around a schema. OpenAI counts 3 a message and 3 a reply.
WRAPPING_TOKENS = 400
# Number of pending cells for each possible call in flight: some cells wait for a retry, and must not block other cells.
CELLS_PER_CALL = 8


@dataclass(frozen=True, slots=True)
class CostCeiling:
    """The maximum number of tokens of one call, and their cost at list price; None without a price."""

    tokens_in: int
    tokens_out: int
    usd: float | None

    @property
    def tokens(self) -> int:
        """Return the sum of the tokens of prompt and reply."""
        return self.tokens_in + self.tokens_out


def find_ceiling(request: Request, endpoint: Endpoint) -> CostCeiling:
    """Return the maximum number of tokens of one call, and their cost.

    A tokenizer that works on bytes gives a text at most as many tokens as it has bytes in UTF-8 (GPT-2's, section 2.2,
    and all its successors; those of SentencePiece fall back on bytes). English has four bytes a token, so the ceiling
    is high; it is reserved only while the call is in flight.
    """
    prompt = sum(len(text.encode()) for _, text in request.prompt.messages)
    form = len(json.dumps(request.form, ensure_ascii=False).encode()) if request.form else 0
    tokens_in = prompt + form + WRAPPING_TOKENS
    tokens_out = request.count_max_tokens(endpoint.thinks)
    price = endpoint.price
    return CostCeiling(tokens_in, tokens_out, None if price is None else price.bound_cost(tokens_in, tokens_out))


@dataclass(eq=False)
class Budget:
    """Money that calls share and never overdraw: the limit, the amounts spent and reserved; for one event loop.

    ``unconfirmed_usd`` is the part of ``spent_usd`` that counts for calls without a reply.

    Args:
        max_usd: None without a limit: then the budget only counts.
        refuse: makes the error for a call with this maximum cost in USD that exceeds the money left.
        limit: the same limit in the database of replies, for other processes that spend under it; None if there are
            none, or if each has its own share.
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
        """Return the amount that is neither spent nor reserved, in USD; infinite without a limit."""
        committed = math.fsum((self.spent_usd, *self._reserved))
        return math.inf if self.max_usd is None else max(0.0, self.max_usd - committed)

    def set_aside(self, usd: float) -> None:
        """Reserve money for others to spend, until its ``release``."""
        self._reserved.append(usd)

    def release(self, set_aside_usd: float, spent_usd: float) -> None:
        """End a reservation: count the spent part, and release the rest."""
        self._reserved.remove(set_aside_usd)
        self.spend(spent_usd)
        self._ended.set()

    def spend(self, usd: float) -> None:
        """Count an amount that was, or may have been, paid; a negative amount counts as 0."""
        self.spent_usd += max(0.0, usd)

    @asynccontextmanager
    async def reserving(self, ceiling_usd: float) -> AsyncIterator[None]:
        """Reserve, inside the block, the maximum cost of one call.

        If the calls in flight leave no room, wait for their end, since they may cost less. So no call is in flight when
        the money is spent, and no reply is paid for and lost.

        Raises:
            BudgetError: with this call the limit could be exceeded.
        """
        while self._refusal or ceiling_usd > self.left_usd + TINY_USD:
            if not self._reserved or self._refusal:
                # A cheaper call might still fit, but the end of the run would cancel it in flight.
                self._refusal = self._refusal or self.refuse(ceiling_usd)
                raise self._refusal.with_traceback(None)
            self._ended.clear()
            await self._ended.wait()
        self.set_aside(ceiling_usd)
        try:
            yield
        finally:
            self.release(ceiling_usd, 0.0)


class RunBudget(Budget):
    """The limits of one run over all its models, and its counts of calls, tokens and costs.

    Its spent amount includes earlier runs of its plan, and the maximum cost of calls that may have been billed.
    ``pending_cells`` admits cells in their order, so that a prompt is written shortly before its call, not all before
    the first. ``is_aborting`` is set when the error of a call ends the run: calls in flight are paid for, so they are
    awaited. ``cached_tokens`` are prompt tokens from the provider's cache, ``unpriced`` the models without a price, and
    ``unanswered_calls`` the calls without a reply: the provider may have billed them nevertheless, at most
    ``unconfirmed_usd``. ``saved_usd`` is the amount saved by replies at one of ``batch_prices``, by the model's name,
    compared to live calls.

    Args:
        concurrency: maximum number of calls in flight, of all models together.
        max_cost_usd: maximum cost of the plan over all its runs; None without a limit.
        shared: the budget that this run shares with others.
    """

    def __init__(self, concurrency: int, max_cost_usd: float | None = None, shared: Budget | None = None) -> None:
        super().__init__(max_cost_usd, self._refuse, shared.limit if shared else None)
        self.concurrency = concurrency
        self.in_flight = asyncio.Semaphore(concurrency)
        self.pending_cells = asyncio.Semaphore(CELLS_PER_CALL * concurrency)
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
        self.is_aborting = False
        self._plans: set[str] = set()

    @property
    def cost_usd(self) -> float | None:
        """Return the cost of the replies in USD; None if no price is known."""
        return add_costs(*self._costs)

    @property
    def is_free(self) -> bool:
        """Return whether the price of every call is known and nothing was paid."""
        return self.cost_usd == 0 and not self.unpriced and not self.unconfirmed_usd

    def open_plan(self, plan_id: str, kept_usd: float, lost: UnconfirmedCalls) -> None:
        """Count, once, the cost of a plan's earlier runs: of kept replies, and at most of unconfirmed calls."""
        if plan_id in self._plans:
            return
        self._plans.add(plan_id)
        super().spend(kept_usd + lost.ceiling_usd)
        self.unanswered_calls += lost.calls
        self.unconfirmed_usd += lost.ceiling_usd

    @asynccontextmanager
    async def reserving(self, ceiling_usd: float | None) -> AsyncIterator[None]:
        """Reserve, inside the block, the maximum cost of one call.

        Raises:
            BudgetError: with this call the run could exceed its limit.
        """
        shared = self._shared.reserving(ceiling_usd or 0.0) if self._shared else nullcontext()
        async with super().reserving(ceiling_usd or 0.0), shared:
            yield

    def spend(self, usd: float) -> None:
        """Count an amount that was, or may have been, paid, in the shared budget too."""
        super().spend(usd)
        if self._shared:
            self._shared.spend(usd)

    def count(self, reply: Reply, reused: bool, endpoint: Endpoint | None = None) -> None:
        """Count a reply. A reused one costs nothing now, since an earlier run has paid for it."""
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
        """Count a call without a reply that may have been billed, at its maximum cost."""
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
            "file and start again: the replies are kept and not paid for again"
        )
