"""What a provider of batches takes and gives; what its two forms share: requests, errors, and answers of lines."""

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

# Of silence: a provider takes its time over 190 MB.
TIMEOUT_SECONDS = 180.0
OK, TIMED_OUT, CONFLICT, TOO_MANY, SERVER_ERROR = 200, 408, 409, 429, 500


@dataclass(frozen=True, slots=True)
class Line:
    """One call of a batch: ``custom_id`` is the SHA-256 of plan id and reply key, ``body`` what the provider takes."""

    custom_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch as its provider tells of it.

    ``works``: it is not over. ``no file``: it is over, and its file of answers may follow within minutes. ``ended``:
    its answers can be read, though perhaps not of all lines (it may have expired or been cancelled). ``refused``: it
    failed as a whole. ``said`` is its progress, or why it failed.
    """

    state: Literal["works", "no file", "ended", "refused"]
    said: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one line: a reply, or None where none comes of a later try either."""

    custom_id: str
    reply: Reply | None = None


class BatchProvider(Protocol):
    """A provider's API for batches, for one place; no method makes a request a second time by itself.

    Every method raises ``ProviderError`` and its kinds, without secrets. ``maybe_billed`` of an error says that a
    create may have been accepted all the same: a connection that broke, a time-out, a 5xx.
    """

    async def upload(self, key: str, lines: Iterable[Line]) -> str | None:
        """The id of an uploaded file that is named by the key; None where the form has no files."""

    async def create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> str:
        """The provider's id of the batch that is created, if the list can be read by which it could be found again."""

    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        """The provider's id of the batch of this key; None where a whole reading of its list does not show it.

        Args:
            tried_at: when its create was sent, in seconds since 1970.
            ids: the ``custom_id`` of each of its lines, by which a batch is told apart where a provider keeps no key.
            taken: ids of batches that are known to be others.
        """

    async def look(self, remote_id: str) -> RemoteBatch:
        """How far a batch is."""

    def read(self, remote_id: str) -> AsyncIterator[Answer]:
        """What came of its lines, in any order; nothing of those that were left out or may yet get a reply."""

    async def cancel(self, remote_id: str) -> None:
        """Has it end early, unless it has ended; what was answered until then can be read, and is paid for."""

    async def close(self) -> None:
        """Closes the connections."""


class SharedWire(ABC):
    """What the wires of both forms share.

    Args:
        api_key: the present one, by ``place.settings``; None where the environment has it.

    Raises:
        CredentialsError: the key is not the one by which its lines were queued, or there is none.
    """

    # The path of batches, how many a page of their list has at most, and what asks for the page after one.
    path: ClassVar[str]
    page: ClassVar[int]
    after: ClassVar[str]

    def __init__(self, place: BatchAccount, api_key: str | None) -> None:
        if digest_key(place.model, api_key) != place.key_digest:
            raise CredentialsError(
                f"{place.model} was asked by another key: a batch is seen by the account that submitted it alone. Set "
                f"{place.settings}_API_KEY to that key until its batches are over (SHA-256 begins with "
                f"{place.key_digest or 'nothing: there was none'})"
            )
        where = Endpoint(place.model, place.model, "", api_base=place.api_base, api_key=api_key, price=place.price)
        self._client = BatchClient(replace(where, settings=place.settings), TIMEOUT_SECONDS)
        self._server = self._client.open_server(httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS))
        self._secrets = find_secrets(api_key, place.api_base, os.environ)

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
        """Closes the connections."""
        await self._server.close()
        await self._client.close()

    @abstractmethod
    async def _create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> dict[str, Any]:
        """The batch that is created, with the key in its metadata where it has any."""

    @abstractmethod
    async def _find_results(self, remote_id: str) -> list[str]:
        """The paths of the files with a batch's answers."""

    @abstractmethod
    def _read_row(self, row: Mapping[str, Any]) -> tuple[int | None, Any]:
        """The status and the body of an answer; None as the status where the line was not answered."""

    async def _look(self, remote_id: str) -> dict[str, Any]:
        return await self._ask("get", f"{self.path}/{quote(remote_id)}")

    async def _list(self) -> AsyncIterator[Mapping[str, Any]]:
        asked, seen = {"limit": str(self.page)}, set[str]()
        while True:
            page = await self._ask("get", self.path, options={"params": asked})
            for batch in page["data"]:
                yield batch
            if not page["data"] or page.get("has_more") is False:
                return
            asked[self.after] = last = str(page["data"][-1]["id"])
            if last in seen:
                raise self._make_unlisted("its pages repeat themselves")
            seen.add(last)

    async def _ask(
        self, method: Literal["get", "post"], path: str, creates: bool = False, **options: Any
    ) -> dict[str, Any]:
        asked: Awaitable[Any] = getattr(self._server, method)(path, cast_to=object, **options)
        return cast("dict[str, Any]", await self._translate(asked, creates, of_batch=path != self.path))

    async def _download(self, path: str) -> AsyncIterator[Mapping[str, Any]]:
        """The rows of a file with a ``custom_id``; it is read as a whole before the first of them is given.

        Rows end at a newline and at nothing else: their texts may have U+2028 in them.
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
        came = await self._server.get(path, cast_to=httpx.Response, options={"headers": headers})
        async for part in came.aiter_bytes():
            file.write(part)

    async def _translate(self, asked: Awaitable[T], creates: bool = False, of_batch: bool = False) -> T:
        """What comes of a request, or its error without secrets and without causes, which may quote them.

        Args:
            creates: whether it asks for a batch to be made, so that one may be there all the same.
            of_batch: whether it asks for a batch that was made, or its files.
        """
        try:
            return await asked
        except Exception as raised:
            error = raised
        made, status = self._client.translate(error), getattr(getattr(error, "response", None), "status_code", None)
        endpoint = self._client.endpoint
        if isinstance(made, ProviderTimeoutError):
            made = ProviderTimeoutError(f"{endpoint.name} gave no answer about a batch in {TIMEOUT_SECONDS:g} s")
        elif of_batch and isinstance(made, ModelNotFoundError):
            made = ModelNotFoundError(
                f"{endpoint.name} knows of no such batch by the key that is set now. If {endpoint.settings}_API_KEY or "
                f"{endpoint.settings}_API_BASE were changed, set what they were until its answers are here. After 26 h "
                "its calls are asked live"
            )
        refused = status < SERVER_ERROR and status != TIMED_OUT if status else getattr(made, "no_connection", False)
        made.maybe_billed = creates and not refused
        made.args, made.__cause__, made.__context__ = (self._redact(str(made)),), None, None
        raise made

    def _read_answer(self, row: Mapping[str, Any]) -> Answer | None:
        """What came of a line; None where a later try may bring a reply, or the row cannot be read."""
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
            f"{self._client.endpoint.name} has no list of its batches, by which one is found again whose answer was "
            f"lost ({why})"
        )

    def _redact(self, said: str) -> str:
        return redact_message(said, self._secrets)


def write_rows(file: IO[bytes], rows: Iterable[Mapping[str, Any]], opening: str = "", between: str = "\n") -> None:
    """Writes rows of JSON into an empty file."""
    file.write(opening.encode())
    for number, row in enumerate(rows):
        file.write((between if number else "").encode() + json.dumps(row, ensure_ascii=False).encode())
