"""The turnstile: where a call waits until one more may be sent, however many runs share the provider's limits."""

from typing import Protocol


class RateLimiter(Protocol):
    """What holds calls back: Prefect's limits in a run, nothing where no limit is set."""

    async def acquire(self, tokens: int) -> None:
        """Waits until one more call of at most so many tokens, prompt and reply, may be sent; it is sent at once then.

        Raises:
            InputError: a call of that size never fits into the limit.
            OrchestratorError: whoever keeps the limit does not answer.
        """

    async def return_unused(self, tokens: int) -> None:
        """Tokens that a call was let in for and did not use; never raises."""


class NoRateLimit:
    """Lets everybody in at once."""

    async def acquire(self, tokens: int) -> None:
        """Does not wait."""

    async def return_unused(self, tokens: int) -> None:
        """Counts nothing."""
