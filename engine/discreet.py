"""A discreet client: whatever a provider or a library says on a call, no key gets past it."""

import os
from dataclasses import replace

from engine.errors import ExemplarsError, ProviderError
from engine.redact import find_secrets, redact, redact_words
from engine.request import Client, Reply, Request


class CallError(Exception):
    """What a library raised, told again without secrets: the cause of ours in a traceback."""


class DiscreetClient:
    """Passes calls on to a client, and takes the endpoint's secrets out of its replies and its errors.

    Providers echo keys: in refusals, in headers that libraries quote, in replies. All that is logged, kept or attached
    has come through here.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.endpoint = client.endpoint
        self._secrets = find_secrets(self.endpoint.api_key, self.endpoint.api_base, os.environ)

    async def complete(self, request: Request) -> Reply:
        """One reply, asked once; raises what the client raises."""
        try:
            reply = await self._client.complete(request)
        except ExemplarsError as error:
            self._hide(error)
            raise
        except Exception as error:
            said = f"{self.endpoint.name} failed: {redact_words(_tell(error), self._secrets)}"
            raise ProviderError(said, maybe_billed=True) from self._retell(error)
        return replace(reply, text=redact(reply.text, self._secrets), finish=redact(reply.finish, self._secrets))

    def _hide(self, error: ExemplarsError) -> None:
        cause = error.__cause__ or error.__context__
        error.args = (redact_words(str(error), self._secrets),)
        error.__cause__ = self._retell(cause) if cause else None
        error.__context__ = None

    def _retell(self, error: BaseException) -> CallError:
        """The error, with where it was raised, and what it came from likewise."""
        told = CallError(redact_words(_tell(error), self._secrets)).with_traceback(error.__traceback__)
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        told.__cause__ = self._retell(cause) if cause else None
        return told


def _tell(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
