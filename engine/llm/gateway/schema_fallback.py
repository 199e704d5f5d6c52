"""The fallback for providers that take no JSON schema: the request asks for it in words."""

import logging

from engine.errors import ContextTooLongError, RequestRefusedError
from engine.llm.client.request import Client, Reply, Request

LOGGER = logging.getLogger("exemplars.calls")


class SchemaFallback:
    """Asks in words where a request with a schema was refused; once that has helped, for all later requests too."""

    def __init__(self, client: Client) -> None:
        self.endpoint = client.endpoint
        self._client = client
        self._takes_schema = True

    async def complete(self, request: Request) -> Reply:
        """The reply to one request.

        Raises:
            RequestRefusedError: the provider does not take it in words either. Others: as the client's.
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
        told = {"model": self.endpoint.name}
        LOGGER.info("%s takes no schema: it is asked in words from here on", self.endpoint.name, extra=told)
        return reply
