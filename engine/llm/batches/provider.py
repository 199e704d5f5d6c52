"""The protocol of a batch provider, and the code that its two forms share: requests, errors and answers."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from tempfile import TemporaryFile
from typing import IO, Any, ClassVar, Literal, Protocol, TypeVar, cast
from urllib.parse import quote

import httpx

from engine.errors import CredentialsError, ModelNotFoundError, ProviderError, ProviderTimeoutError, RequestRefusedError
from engine.llm.batches.account import BatchAccount, digest_key
from engine.llm.client.batch_client import BatchClient
from engine.llm.client.provider_errors import CONNECT_SECONDS
from engine.llm.client.redaction import find_secrets, redact, redact_message
from engine.llm.client.request import Endpoint, Reply

T = TypeVar("T")

# The longest pause between two parts of an answer: a provider needs time for 190 MB.
TIMEOUT_SECONDS = 180.0
OK, TIMED_OUT, CONFLICT, TOO_MANY, SERVER_ERROR = 200, 408, 409, 429, 500


@dataclass(frozen=True, slots=True)
class Line:
    """One call of a batch: ``custom_id`` is the SHA-256 of plan id and reply key, ``body`` has the provider's form."""

    custom_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """The state of a batch as its provider reports it.

    ``works``: the batch is running. ``no file``: it is complete, and its file of answers may follow within minutes.
    ``ended``: its answers can be read, perhaps not for all lines (it may have expired or been cancelled). ``refused``:
    it failed as a whole. ``message`` is its progress, or the reason of its failure.
    """

    state: Literal["works", "no file", "ended", "refused"]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one line: a reply, or None if a retry would bring none either."""

    custom_id: str
    reply: Reply | None = None


class BatchProvider(Protocol):
    """A provider's batch API for one account; no method retries a request by itself.

    Every method raises ``ProviderError`` and its subclasses, without secrets. ``maybe_billed`` of an error means that
    a create may have been accepted nevertheless: after a broken connection, a time-out or a 5xx.
    """

    async def upload(self, key: str, lines: Iterable[Line]) -> str | None:
        """Upload lines as a file named after the key and return its id; None if this form has no files."""

    async def create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> str:
        """Create a batch and return the provider's id. First check that the provider can list its batches."""

    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        """Return the provider's id of the batch with this key; None if the provider's complete list does not have it.

        Args:
            tried_at: when its create was sent, in seconds since 1970.
            ids: the ``custom_id`` of each of its lines, which identify a batch if the provider stores no key.
            taken: ids of batches that are known to be other batches.
        """

    async def look(self, remote_id: str) -> RemoteBatch:
        """Return the state of a batch."""

    def read(self, remote_id: str) -> AsyncIterator[Answer]:
        """Yield the answers of a batch in any order, without lines that were left out or may get a reply on a retry."""

    async def cancel(self, remote_id: str) -> None:
        """End a batch early, unless it has ended. Its answers until then can be read, and are billed."""

    async def close(self) -> None:
        """Close the connections."""


class HttpBatchProvider(ABC):
    """Base class of the providers of both forms.

    Args:
        api_key: the current key, from ``account.settings``; None if the environment has it.

    Raises:
        CredentialsError: the key is not the one with which the lines were queued, or there is none.
    """

    # The path of batches, the maximum size of a page of their list, and the parameter that requests the next page.
    path: ClassVar[str]
    page: ClassVar[int]
    after: ClassVar[str]

    def __init__(self, account: BatchAccount, api_key: str | None) -> None:
        if digest_key(account.model, api_key) != account.key_digest:
            raise CredentialsError(
                f"{account.model} was called with another API key, and only the account that submitted a batch can "
                f"read it. Set {account.settings}_API_KEY to that key until its batches are over (SHA-256 begins with "
                f"{account.key_digest or 'nothing: there was none'})"
            )
        endpoint = Endpoint(
            account.model, account.model, "", api_base=account.api_base, api_key=api_key, price=account.price
        )
        self._client = BatchClient(replace(endpoint, settings=account.settings), TIMEOUT_SECONDS)
        self._server = self._client.open_server(httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS))
        self._secrets = find_secrets(api_key, account.api_base, os.environ)

    async def create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> str:
        """See ``BatchProvider``."""
        try:
            await self._ask("get", self.path, options={"params": {"limit": 1}})
        except (ModelNotFoundError, RequestRefusedError) as error:
            raise self._make_unlisted(error) from None
        return str((await self._create(key, file_id, lines))["id"])

    async def read(self, remote_id: str) -> AsyncIterator[Answer]:
        """See ``BatchProvider``."""
        for path in await self._find_results(remote_id):
            async for row in self._download(path):
                if answer := self._read_answer(row):
                    yield answer

    async def cancel(self, remote_id: str) -> None:
        """See ``BatchProvider``."""
        await self._ask("post", f"{self.path}/{quote(remote_id)}/cancel")

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()
        await self._client.close()

    @abstractmethod
    async def _create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> dict[str, Any]:
        """Create a batch, with the key in its metadata if the form has metadata, and return it as JSON."""

    @abstractmethod
    async def _find_results(self, remote_id: str) -> list[str]:
        """Return the paths of the files with a batch's answers."""

    @abstractmethod
    def _read_row(self, row: Mapping[str, Any]) -> tuple[int | None, Any]:
        """Return the status and the body of an answer; the status is None if the line was not answered."""

    async def _look(self, remote_id: str) -> dict[str, Any]:
        return await self._ask("get", f"{self.path}/{quote(remote_id)}")

    async def _list(self) -> AsyncIterator[Mapping[str, Any]]:
        params, seen = {"limit": str(self.page)}, set[str]()
        while True:
            page = await self._ask("get", self.path, options={"params": params})
            for batch in page["data"]:
                yield batch
            if not page["data"] or page.get("has_more") is False:
                return
            params[self.after] = last = str(page["data"][-1]["id"])
            if last in seen:
                raise self._make_unlisted("its pages repeat themselves")
            seen.add(last)

    async def _ask(
        self, method: Literal["get", "post"], path: str, creates: bool = False, **options: Any
    ) -> dict[str, Any]:
        response: Awaitable[Any] = getattr(self._server, method)(path, cast_to=object, **options)
        return cast("dict[str, Any]", await self._translate(response, creates, of_batch=path != self.path))

    async def _download(self, path: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the rows of a file that have a ``custom_id``, after the whole file is downloaded.

        Only a newline ends a row, since the texts may contain U+2028.
        """
        with TemporaryFile() as file:
            await self._translate(self._save(path, file), of_batch=True)
            file.seek(0)
            for line in file:
                with suppress(ValueError):
                    row = json.loads(line)
                    if isinstance(row, dict) and "custom_id" in row:
                        yield row

    async def _save(self, path: str, file: IO[bytes]) -> None:
        headers = {"X-Stainless-Raw-Response": "stream"}
        response = await self._server.get(path, cast_to=httpx.Response, options={"headers": headers})
        async for part in response.aiter_bytes():
            file.write(part)

    async def _translate(self, response: Awaitable[T], creates: bool = False, of_batch: bool = False) -> T:
        """Return the result of a request, or raise its error without secrets and without causes, which may quote them.

        Args:
            creates: whether the request creates a batch, which may then exist despite the error.
            of_batch: whether the request is about an existing batch or its files.
        """
        try:
            return await response
        except Exception as raised:
            error = raised
        failure, status = self._client.translate(error), getattr(getattr(error, "response", None), "status_code", None)
        endpoint = self._client.endpoint
        if isinstance(failure, ProviderTimeoutError):
            failure = ProviderTimeoutError(f"{endpoint.name} gave no answer about a batch in {TIMEOUT_SECONDS:g} s")
        elif of_batch and isinstance(failure, ModelNotFoundError):
            failure = ModelNotFoundError(
                f"{endpoint.name} does not have this batch under the current key. If {endpoint.settings}_API_KEY or "
                f"{endpoint.settings}_API_BASE were changed, restore them until its answers are stored. After 26 h "
                "its calls are made live"
            )
        refused = status < SERVER_ERROR and status != TIMED_OUT if status else getattr(failure, "no_connection", False)
        failure.maybe_billed = creates and not refused
        failure.args, failure.__cause__, failure.__context__ = (self._redact(str(failure)),), None, None
        raise failure

    def _read_answer(self, row: Mapping[str, Any]) -> Answer | None:
        """Return the answer of a line; None if a retry may bring a reply, or if the row cannot be read."""
        with suppress(ProviderError, AttributeError, LookupError, TypeError):
            status, body = self._read_row(row)
            if status == OK:
                reply = self._client.read_body(body)
                text, finish = (redact(part, self._secrets) for part in (reply.text, reply.finish))
                return Answer(str(row["custom_id"]), replace(reply, text=text, finish=finish))
            if status and status < SERVER_ERROR and status not in (TIMED_OUT, CONFLICT, TOO_MANY):
                return Answer(str(row["custom_id"]))
        return None

    def _make_unlisted(self, why: object) -> RequestRefusedError:
        return RequestRefusedError(
            f"{self._client.endpoint.name} has no list of its batches, which is needed to find a batch again if the "
            f"answer to its creation was lost ({why})"
        )

    def _redact(self, message: str) -> str:
        return redact_message(message, self._secrets)


def write_rows(file: IO[bytes], rows: Iterable[Mapping[str, Any]], opening: str = "", between: str = "\n") -> None:
    """Write rows as JSON into an empty file."""
    file.write(opening.encode())
    for number, row in enumerate(rows):
        file.write((between if number else "").encode() + json.dumps(row, ensure_ascii=False).encode())
