"""The gateway: it answers a request from the kept replies, else by a call to the model.

A request passes one wrapper for each concern, each with ``complete(request) -> Reply``. From the outside in:
``ModelGateway`` (kept replies), ``SchemaFallback``, ``RetryingClient`` (throttle and retries), ``MeteredClient``
(budget, rate, record), ``RedactingClient`` (redaction of secrets), ``LitellmClient``.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace

from engine.domain.progress import CallEnded, Noticed, Progress
from engine.errors import ContextTooLongError, RequestRefusedError, StoreError
from engine.llm.client.request import Client, Endpoint, Reply, Request
from engine.llm.embedded.embedded_models import is_embedded, serve_embedded
from engine.llm.gateway.budget import Budget, RunBudget
from engine.llm.gateway.metered import MeteredClient, RateLimiter
from engine.llm.gateway.retrying import ENDING, RetryingClient
from engine.llm.gateway.throttle import AdaptiveThrottle
from engine.llm.replies.replies import ReplyStore, open_replies
from engine.settings import DatabaseUrl, Settings
from engine.system.concurrency import log_context

LOGGER = logging.getLogger("exemplars.calls")
PATIENCE_SECONDS = 300.0
# The server of an embedded model does not recover by itself.
EMBEDDED_PATIENCE_SECONDS = 10.0


class ModelGateway:
    """The client through which a run makes all calls to one model, within the budget that its models share.

    Args:
        place: the database of kept replies.
        wait_seconds: as for ``RetryingClient``.
        throttle: limits the calls in flight; None: a separate one with the default patience.
    """

    def __init__(
        self,
        client: Client,
        place: DatabaseUrl,
        progress: Progress,
        budget: RunBudget,
        wait_seconds: float = 0.5,
        rate_limiter: RateLimiter | None = None,
        throttle: AdaptiveThrottle | None = None,
    ) -> None:
        self.endpoint = client.endpoint
        self.budget = budget
        self._place = place
        self._replies: ReplyStore | None = None
        self._progress = progress
        shared = SharedModels(budget.concurrency, PATIENCE_SECONDS, notice=lambda text: progress.report(Noticed(text)))
        self._throttle = throttle or shared.find_throttle(client.endpoint)
        limiter = rate_limiter or RateLimiter()
        metered = MeteredClient(client, self._throttle, budget, limiter, self._find_replies, progress.report)
        self._client = SchemaFallback(RetryingClient(metered, self._throttle, budget, wait_seconds))

    @asynccontextmanager
    async def record_replies(self, plan_id: str, handle: str = "") -> AsyncIterator[None]:
        """Store replies under this plan inside the block; calls are possible only inside such a block.

        Raises:
            StoreError: replies cannot be stored, or the kept replies cannot be read.
        """
        async with open_replies(self._place, plan_id, handle) as replies:
            self.budget.open_plan(plan_id, replies.kept_usd, replies.lost)
            self._replies = replies
            try:
                yield
            finally:
                self._replies = None

    @asynccontextmanager
    async def pin_replies(self, plan_id: str) -> AsyncIterator[None]:
        """Protect the replies of another plan from pruning inside the block."""
        async with open_replies(self._place, plan_id):
            yield

    def find_unanswered(self, requests: Iterable[Request]) -> list[Request]:
        """Return the requests without a kept reply, each with the key of its future reply."""
        keyed = (replace(request, key=request.digest(self.endpoint.identity)) for request in requests)
        return [request for request in keyed if self._find_replies().find(request.key) is None]

    async def complete(self, request: Request) -> Reply:
        """Return the kept reply to a request, or a new one.

        Raises:
            RetryableProviderError, RequestRefusedError: this call failed for good, though others may succeed.
            BudgetError: one more call could exceed the run's limit.
            ProviderError: no call can succeed.
            StoreError: the reply cannot be stored.
        """
        request = replace(request, key=request.digest(self.endpoint.identity))
        kept = self._find_replies().find(request.key)
        if kept is not None:
            self._throttle.answered = True
            self.budget.count(kept, reused=True, endpoint=self.endpoint)
            self._progress.report(
                CallEnded(kept.completion_tokens, reused=True, key=request.key, judges=request.judges)
            )
            return kept
        try:
            with log_context(call=request.label):
                reply = await self._client.complete(request)
        except BaseException as error:
            self.budget.is_aborting = self.budget.is_aborting or isinstance(error, ENDING)
            self._progress.report(CallEnded(key=request.key, judges=request.judges))
            raise
        self._progress.report(CallEnded(reply.completion_tokens, key=request.key, judges=request.judges))
        return reply

    def _find_replies(self) -> ReplyStore:
        if self._replies is None:
            raise StoreError("Calls need an open reply store: enter ModelGateway.record_replies first")
        return self._replies


class SchemaFallback:
    """A client that describes a refused schema in words and, once that has helped, all later schemas too."""

    def __init__(self, client: Client) -> None:
        self.endpoint = client.endpoint
        self._client = client
        self._takes_schema = True

    async def complete(self, request: Request) -> Reply:
        """Return the reply to one request.

        Raises:
            RequestRefusedError: the provider rejects it in words too. Others: as the client's.
        """
        if request.schema is None or not self._takes_schema:
            return await self._client.complete(request.without_schema())
        try:
            return await self._client.complete(request)
        except ContextTooLongError:
            raise
        except RequestRefusedError:
            reply = await self._client.complete(request.without_schema())
        self._takes_schema = False
        name = self.endpoint.name
        LOGGER.info("%s accepts no schema: from now on the prompt describes it in words", name, extra={"model": name})
        return reply


class SharedModels(ExitStack):
    """The models that the runs of one process share, in one event loop. Embedded servers end with the ``with`` block.

    Args:
        calls_at_once: maximum number of calls in flight to one model, of all runs together.
        budget: the budget that the runs share; None without a limit.
        notice: receives a sentence about each event of a shared model.
    """

    def __init__(
        self,
        calls_at_once: int,
        patience_seconds: float,
        budget: Budget | None = None,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.budget = budget
        self._calls_at_once = calls_at_once
        self._patience_seconds = patience_seconds
        self._notice = notice
        self._throttles: dict[str, AdaptiveThrottle] = {}
        self._served: dict[str, Endpoint] = {}
        self._starting = asyncio.Lock()

    async def serve(self, name: str, settings: Settings) -> Endpoint:
        """Return the endpoint of an embedded model. The first call starts its server.

        Raises:
            ModelNotFoundError, ProviderUnavailableError: as ``serve_embedded``.
        """
        async with self._starting:
            if name not in self._served:
                self._served[name] = self.enter_context(serve_embedded(name, settings))
            return self._served[name]

    def find_throttle(self, endpoint: Endpoint) -> AdaptiveThrottle:
        """Return the throttle that all runs share for a model."""
        key = f"{endpoint.identity}\0{endpoint.api_base}"
        if key not in self._throttles:
            most, patience_seconds = endpoint.slots or self._calls_at_once, self._patience_seconds
            if is_embedded(endpoint.name):
                patience_seconds = min(patience_seconds, EMBEDDED_PATIENCE_SECONDS)
            self._throttles[key] = AdaptiveThrottle(most, patience_seconds, self._notice)
        return self._throttles[key]
