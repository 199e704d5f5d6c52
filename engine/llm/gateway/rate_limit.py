"""The rate limiter as the gateway sees it: it makes a call wait until it may be sent, since runs share the rates."""

from typing import Protocol


class RateLimiter(Protocol):
    """Makes calls wait: by Prefect's limits in a run, not at all where no rate is set."""

    async def acquire(self, tokens: int) -> None:
        """Waits until one more call of at most so many tokens, prompt and reply, may be sent; it is to be sent at once.

        Raises:
            InputError: a call of that size never fits into the rate.
            OrchestratorError: Prefect's server, which keeps the rate, does not answer.
        """

    async def return_unused(self, tokens: int) -> None:
        """Returns tokens that a call had permits for and did not use; never raises."""


class NoRateLimit:
    """Lets every call through at once."""

    async def acquire(self, tokens: int) -> None:
        """Does not wait."""

    async def return_unused(self, tokens: int) -> None:
        """Counts nothing."""
