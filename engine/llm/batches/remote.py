"""What the wires share: a client of the model, errors that tell what may have been accepted, and answers of lines."""

import json
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from typing import IO, Any, TypeVar, cast

import httpx

from engine.errors import (
    ContentRefusedError,
    ModelNotFoundError,
    ProviderError,
    ProviderTimeoutError,
    RequestRefusedError,
    RetryableProviderError,
)
from engine.llm.batches.wire import Answer, Place
from engine.llm.client.batch_client import BatchClient
from engine.llm.client.provider_errors import CONNECT_SECONDS
from engine.llm.client.redaction import find_secrets, redact, redact_message
from engine.llm.client.request import REFUSED, Endpoint, Reply

# Of silence: a provider takes its time over 190 MB.
TIMEOUT_SECONDS = 180.0
TIMEOUT = httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS)
OK, REQUEST_TIMEOUT, SERVER_ERROR = 200, 408, 500
Method = TypeVar("Method", bound=Callable[..., Coroutine[Any, Any, Any]])


def translated(creates: bool = False, of_batch: bool = False) -> Callable[[Method], Method]:
    """Has a method raise a ``ProviderError``, without secrets and without causes, which may quote them.

    Args:
        creates: whether it asks for a batch to be made, so that one may be there all the same.
        of_batch: whether it asks for a batch that was made, or its files.
    """

    def decorate(method: Method) -> Method:
        @wraps(method)
        async def call(self: "RemoteWire", *args: Any, **options: Any) -> Any:
            try:
                return await method(self, *args, **options)
            except Exception as error:
                made = self.make_error(error, creates)
                if of_batch and isinstance(made, ModelNotFoundError):
                    made = self._make_unknown()
            raise made

        return cast("Method", call)

    return decorate


class RemoteWire:
    """What both wires have: a client of the place's model."""

    def __init__(self, place: Place, api_key: str | None) -> None:
        endpoint = Endpoint(
            place.model,
            place.model,
            "",
            api_base=place.api_base,
            api_key=api_key,
            price=place.price,
            settings=place.settings,
        )
        self.client = BatchClient(endpoint, TIMEOUT_SECONDS)
        self._secrets = find_secrets(api_key, place.api_base, os.environ)
        # Where a batch fails, thousands of lines say one thing.
        self._translated: dict[str, ProviderError] = {}

    def make_error(self, error: Exception, creates: bool) -> ProviderError:
        """The error for an exception, without secrets."""
        made = error if isinstance(error, ProviderError) else self._translate(error)
        status = getattr(getattr(error, "response", None), "status_code", None)
        reached = not getattr(made, "no_connection", False)
        arrived = reached if status is None else status >= SERVER_ERROR or status == REQUEST_TIMEOUT
        made.maybe_billed = creates and arrived and made is not error
        return self._redact(made)

    def make_answer(self, custom_id: str, status: int | None, body: Any, said: str = "") -> Answer:
        """What came of one line.

        Args:
            status: of HTTP; None where the line was not asked, as ``said`` tells.
        """
        if status is None:
            return Answer(custom_id, may_pass=True, said=self.redact(said))
        if status == OK:
            try:
                reply = self.client.read_body(body)
            except ProviderError as error:
                return Answer(custom_id, may_pass=True, said=str(self._redact(error)))
            text, finish = (redact(part, self._secrets) for part in (reply.text, reply.finish))
            return Answer(custom_id, replace(reply, text=text, finish=finish))
        refusal = self._translate_answer(status, body)
        if isinstance(refusal, ContentRefusedError):
            price = self.client.endpoint.price
            return Answer(custom_id, Reply(str(refusal), REFUSED, cost_usd=None if price is None else 0.0))
        return Answer(custom_id, may_pass=isinstance(refusal, RetryableProviderError), said=str(refusal))

    def make_unlisted(self, why: object) -> RequestRefusedError:
        """The error for a provider that does not show its batches."""
        return RequestRefusedError(
            f"{self.client.endpoint.name} has no list of its batches, by which one is found again whose answer was "
            f"lost ({self.redact(str(why))})"
        )

    def redact(self, said: str) -> str:
        """What a provider says, without secrets."""
        return redact_message(said, self._secrets)

    def _translate(self, error: Exception) -> ProviderError:
        made = self.client.translate(error)
        if isinstance(made, ProviderTimeoutError):
            return ProviderTimeoutError(
                f"{self.client.endpoint.name} gave no answer about a batch in {TIMEOUT_SECONDS:g} s"
            )
        return made

    def _make_unknown(self) -> ModelNotFoundError:
        endpoint = self.client.endpoint
        return ModelNotFoundError(
            f"{endpoint.name} knows of no such batch by the key that is set now. If {endpoint.settings}_API_KEY or "
            f"{endpoint.settings}_API_BASE were changed, set what they were until its answers are here. After 26 h "
            "its calls are asked live"
        )

    def _translate_answer(self, status: int, body: Any) -> ProviderError:
        known = f"{status} {json.dumps(body)}"
        if known not in self._translated:
            self._translated[known] = self._redact(self.client.translate_answer(status, body))
        return self._translated[known]

    def _redact(self, error: ProviderError) -> ProviderError:
        error.args = (self.redact(str(error)),)
        error.__cause__ = error.__context__ = None
        return error


def write_rows(file: IO[bytes], rows: Iterable[Mapping[str, Any]], opening: str = "", between: str = "\n") -> None:
    """Writes rows of JSON into an empty file."""
    file.write(opening.encode())
    for number, row in enumerate(rows):
        file.write((between if number else "").encode() + json.dumps(row, ensure_ascii=False).encode())


def read_rows(file: IO[bytes]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each row's ``custom_id`` and the row; one that cannot be read is left out.

    Rows end at a newline and at nothing else: their texts may have U+2028 in them.
    """
    file.seek(0)
    for line in file:
        with suppress(ValueError, LookupError, TypeError):
            row = json.loads(line)
            yield str(row["custom_id"]), row
