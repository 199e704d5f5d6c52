"""Observing: each answer, and how long it took, is fed to the throttle."""

import time

from engine.errors import ContentRefusedError
from engine.llm.client.request import REFUSED, Client, Reply, Request
from engine.llm.gateway.throttle import AdaptiveThrottle


class ObservedClient:
    """Feeds a throttle with each answer; ``answered`` says whether there has ever been one."""

    def __init__(self, client: Client, throttle: AdaptiveThrottle) -> None:
        self.endpoint = client.endpoint
        self.answered = False
        self._client = client
        self._throttle = throttle

    async def complete(self, request: Request) -> Reply:
        """The reply to one request; where the provider would not answer the prompt, its refusal is the reply.

        Raises:
            ProviderError: as the client's, but for ``ContentRefusedError``.
        """
        began = time.monotonic()
        try:
            reply = await self._client.complete(request)
        except ContentRefusedError as error:
            # A refusal is an answer: kept like any other, and not asked for again.
            reply = Reply(text=str(error), finish=REFUSED, cost_usd=0.0 if self.endpoint.price else None)
        self.answered = True
        self._throttle.take_reply(time.monotonic() - began)
        return reply
