"""What the runs of one process share of their models: embedded servers, throttles, and a budget."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from engine.llm.client.request import Endpoint
from engine.llm.embedded.embedded_model import serve_embedded
from engine.llm.embedded.embedded_models import is_embedded
from engine.llm.gateway.budget import Budget
from engine.llm.gateway.throttle import AdaptiveThrottle
from engine.settings import EmbeddedPlace

# The server of an embedded model does not come back by itself.
EMBEDDED_PATIENCE_SECONDS = 10.0


class SharedModels(ExitStack):
    """The models that the runs of one process share; for one event loop. Embedded servers end with the ``with`` block.

    Args:
        calls_at_once: calls of one model in flight at most, of all runs together.
        budget: what the runs may spend together; None where nothing bounds it.
        notice: told, in a sentence, what happens to a model that all of them ask.
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

    async def serve(self, name: str, place: EmbeddedPlace) -> Endpoint:
        """The endpoint of an embedded model, whose server is started when it is first asked for.

        Args:
            place: where the files of embedded models are.

        Raises:
            ModelNotFoundError, ProviderUnavailableError: as ``serve_embedded``.
        """
        async with self._starting:
            if name not in self._served:
                self._served[name] = self.enter_context(serve_embedded(name, place))
            return self._served[name]

    def find_throttle(self, endpoint: Endpoint) -> AdaptiveThrottle:
        """The throttle through which all runs ask a model."""
        key = f"{endpoint.identity}\0{endpoint.api_base}"
        if key not in self._throttles:
            most, patience_seconds = endpoint.slots or self._calls_at_once, self._patience_seconds
            if is_embedded(endpoint.name):
                patience_seconds = min(patience_seconds, EMBEDDED_PATIENCE_SECONDS)
            self._throttles[key] = AdaptiveThrottle(most, patience_seconds, self._notice)
        return self._throttles[key]
