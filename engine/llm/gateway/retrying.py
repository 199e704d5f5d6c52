"""Retrying: a call waits for its turn, and is retried with backoff if a retry may help."""

import logging
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from engine.errors import (
    ContextTooLongError,
    CredentialsError,
    MalformedAnswerError,
    ModelNotFoundError,
    ProviderDownError,
    ProviderError,
    QuotaSpentError,
    RequestRefusedError,
    RetryableProviderError,
)
from engine.llm.client.request import Client, Reply, Request
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.throttle import SILENT_CALLS, AdaptiveThrottle
from engine.system.concurrency import read_log_context

LOGGER = logging.getLogger("exemplars.calls")
# Maximum attempts at one call while others are answered.
MAX_ATTEMPTS = 8
MAX_WAIT_SECONDS = 60.0
# While other calls are answered, backoff is divided by this: there is no overload to wait out.
UNSTRAINED_DIVISOR = 5
# The errors that end a run.
ENDING = (CredentialsError, QuotaSpentError, ModelNotFoundError, ProviderDownError)
# Without a first connection it is unlikely that there will be one: give up sooner.
MAX_FIRST_ATTEMPTS = 4
# An unreadable answer may be billed. If none was ever readable, a retry seldom helps: the call is made once more, since
# a proxy may have failed. If others are readable, it is made as often as for an unusable reply.
MAX_MALFORMED_FIRST, MAX_MALFORMED = 2, 4


@dataclass(slots=True)
class _Tries:
    """The attempts at one call. ``counted`` are failures with a closed circuit, ``malformed`` unreadable answers."""

    failures: int = 0
    counted: int = 0
    malformed: int = 0


class RetryingClient:
    """A client that makes each call in its turn, and retries it with backoff as long as its error may be temporary.

    Args:
        client: makes one attempt, and reports an answer to the throttle.
        wait_seconds: the first wait between two attempts; it doubles, with full jitter.
    """

    def __init__(self, client: Client, throttle: AdaptiveThrottle, budget: RunBudget, wait_seconds: float) -> None:
        self.endpoint = client.endpoint
        self._client = client
        self._throttle = throttle
        self._budget = budget
        self._wait = wait_random_exponential(multiplier=wait_seconds, max=MAX_WAIT_SECONDS)
        self._refused = 0

    async def complete(self, request: Request) -> Reply:
        """Return the reply to one request.

        Raises:
            RetryableProviderError: all attempts at this call failed, though others succeed.
            RequestRefusedError: the provider rejects this request, and may accept others.
            BudgetError, StoreError, ProviderError: no call can succeed.
        """
        tries = _Tries()
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(RetryableProviderError),
            stop=lambda _: tries.counted >= MAX_ATTEMPTS or tries.malformed >= MAX_MALFORMED,
            wait=self._choose_wait,
            before_sleep=self._log_retry,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                return await self._try(request, tries)
        raise AssertionError("tenacity ends by a reply or an exception")

    async def _try(self, request: Request, tries: _Tries) -> Reply:
        async with self._throttle.turn(tries.failures), self._budget.in_flight:
            try:
                return await self._client.complete(request)
            except ProviderError as error:
                self._classify(error, request, tries)
                raise

    def _classify(self, error: ProviderError, request: Request, tries: _Tries) -> None:
        """Count a failed attempt.

        Raises:
            ProviderDownError, ProviderError: the error means that no call can succeed.
        """
        answered = self._throttle.answered
        if isinstance(error, RequestRefusedError):
            self._throttle.note_answer()
            self._refused += request.schema is None or isinstance(error, ContextTooLongError)
            if not answered and self._refused >= SILENT_CALLS:
                raise ProviderError(f"{error} (no call has been answered)") from error
        elif isinstance(error, MalformedAnswerError):
            self._throttle.note_answer()
            tries.failures += 1
            tries.malformed += 1
            if not answered and tries.malformed >= MAX_MALFORMED_FIRST:
                raise ProviderDownError(f"{error} (asked {tries.failures} times, no answer could be read)") from error
        elif isinstance(error, RetryableProviderError):
            self._throttle.take_failure(error, tries)
            tries.failures += 1
            tries.counted += not self._throttle.is_open
            if not answered and tries.counted >= (MAX_FIRST_ATTEMPTS if error.no_connection else MAX_ATTEMPTS):
                raise ProviderDownError(f"{error} (asked {tries.failures} times, no call has been answered)") from error

    def _choose_wait(self, state: RetryCallState) -> float:
        if self._throttle.is_open:
            # The open circuit makes the call wait for its turn.
            return 0.0
        error = state.outcome.exception() if state.outcome else None
        retry_after = error.retry_after_seconds if isinstance(error, RetryableProviderError) else None
        if retry_after is not None:
            # Jitter is added, so that the rejected calls do not all return at once.
            return min(retry_after, MAX_WAIT_SECONDS) + self._wait(state) / 10
        # While others are answered there is no overload to wait out, and waiting calls delay the end of a round.
        strained = self._throttle.is_strained or not self._throttle.answered
        return self._wait(state) if strained else self._wait(state) / UNSTRAINED_DIVISOR

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait_seconds = round(state.next_action.sleep, 3) if state.next_action else 0.0
        LOGGER.info(
            "Attempt %d of %s failed, the next starts in %.1f s: %s",
            state.attempt_number,
            read_log_context().get("call", "a call"),
            wait_seconds,
            error,
            extra={
                "model": self.endpoint.name,
                "attempt": state.attempt_number,
                "wait_seconds": wait_seconds,
                "error": type(error).__name__,
            },
        )
