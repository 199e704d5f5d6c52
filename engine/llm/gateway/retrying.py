"""Retrying: a call waits for its turn, and is retried with backoff where that may help."""

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
# At one call, while others are answered.
MAX_ATTEMPTS = 8
MAX_WAIT_SECONDS = 60.0
# Where other calls are answered, backoff is divided by this: there is no load to wait out.
UNSTRAINED_DIVISOR = 5
# What ends a run.
ENDING = (CredentialsError, QuotaSpentError, ModelNotFoundError, ProviderDownError)
# Where there was never a connection there is no reason to think that there will be: give up sooner.
MAX_FIRST_ATTEMPTS = 4
# An answer that cannot be read may be billed, and seldom gets better where none ever could: it is asked once more, for
# what stands in between may have stumbled. Where others can be read it is asked as often as a reply that is no use.
MAX_MALFORMED_FIRST, MAX_MALFORMED = 2, 4


@dataclass(slots=True)
class _Tries:
    """The attempts at one call. ``counted`` are its failures while the circuit was closed, ``malformed`` those that
    brought an answer which cannot be read.
    """

    failures: int = 0
    counted: int = 0
    malformed: int = 0


class RetryingClient:
    """Makes each call when its turn comes, and again with backoff as long as its error may pass.

    Args:
        client: makes one attempt, and tells the throttle when it is answered.
        wait_seconds: the first wait between two of them; it doubles, with full jitter.
    """

    def __init__(self, client: Client, throttle: AdaptiveThrottle, budget: RunBudget, wait_seconds: float) -> None:
        self.endpoint = client.endpoint
        self._client = client
        self._throttle = throttle
        self._budget = budget
        self._wait = wait_random_exponential(multiplier=wait_seconds, max=MAX_WAIT_SECONDS)
        self._refused = 0

    async def complete(self, request: Request) -> Reply:
        """The reply to one request.

        Raises:
            RetryableProviderError: all attempts at this call failed, though others succeed.
            RequestRefusedError: the provider does not take this request, and may take others.
            BudgetError, StoreError, ProviderError: nothing will come of any call.
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
        """Counts a failed attempt.

        Raises:
            ProviderDownError, ProviderError: by this error nothing will come of any call.
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
            # There it waits for its turn.
            return 0.0
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_seconds if isinstance(error, RetryableProviderError) else None
        if asked is not None:
            # Jitter is added on top, so that those who were sent away do not all come back at once.
            return min(asked, MAX_WAIT_SECONDS) + self._wait(state) / 10
        # Where others are answered all the while there is no load to wait out, and a round ends with those who wait.
        strained = self._throttle.is_strained or not self._throttle.answered
        return self._wait(state) if strained else self._wait(state) / UNSTRAINED_DIVISOR

    def _log_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait_seconds = round(state.next_action.sleep, 3) if state.next_action else 0.0
        LOGGER.info(
            "Try %d of %s failed, the next comes in %.1f s: %s",
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
