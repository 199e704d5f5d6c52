"""Batches in Anthropic's form: requests stand in the create itself, and nothing of ours stands in a batch."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote

import httpx

from engine.errors import ProviderUnavailableError
from engine.llm.batches.remote import OK, TIMEOUT, RemoteWire, read_rows, translated, write_rows
from engine.llm.batches.wire import Answer, Line, Place, RemoteBatch
from engine.llm.client.batch_client import BETA

# Batches on a page of the list, at most.
PAGE = 1000
# A create that is looked for was accepted within these seconds of when it was sent: clocks differ, uploads last.
BEFORE_SECONDS, AFTER_SECONDS = 600, 3600
PART_BYTES = 1 << 20
# The status of each kind of error (its page on errors).
STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicWire(RemoteWire):
    """See ``Wire``; a lost create is found by its time and count, and known by the ``custom_id``s of its results."""

    def __init__(self, place: Place, api_key: str | None) -> None:
        super().__init__(place, api_key)
        messages, headers = self.client.find_messages()
        self._http = self.client.open_http(TIMEOUT)
        self._http.headers.update(headers)
        self._address = f"{messages}/batches"

    async def upload(self, key: str, lines: Sequence[Line]) -> str | None:
        """Uploads nothing: the lines go with the create."""
        return None

    @translated(creates=True)
    async def create(self, key: str, file_id: str | None, lines: Sequence[Line]) -> str:
        """Creates the batch, lines and all, if the list can be read by which it could be found again."""
        await self._check_list()
        betas: set[str] = set()

        def write_line(line: Line) -> Mapping[str, Any]:
            betas.update(filter(None, str(line.body.get(BETA, "")).split(",")))
            params = {name: part for name, part in line.body.items() if name != BETA}
            return {"custom_id": line.custom_id, "params": params}

        with TemporaryFile() as file:
            write_rows(file, map(write_line, lines), '{"requests": [', ",\n")
            file.write(b"]}")
            # With a length it is not sent in chunks, which not everybody takes.
            headers = {"content-length": str(file.tell())} | ({BETA: ",".join(sorted(betas))} if betas else {})
            file.seek(0)
            came = await self._http.post(self._address, content=_read_parts(file), headers=headers)
            return str(came.raise_for_status().json()["id"])

    @translated()
    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        """See ``Wire``.

        Raises:
            ProviderUnavailableError: a batch that may be it has not ended, so that its lines cannot be compared yet.
        """
        works, known = "", set(ids)
        asked: dict[str, Any] = {"limit": PAGE}
        while True:
            page = await self._get("", asked)
            for batch in page["data"]:
                if batch["id"] in taken or not _may_be(batch, tried_at, len(known)):
                    continue
                if batch["processing_status"] != "ended":
                    works = batch["id"]
                elif await self._has_lines(batch["id"], known):
                    return str(batch["id"])
            if not page["has_more"]:
                break
            asked = {"limit": PAGE, "after_id": page["last_id"]}
        if works:
            raise ProviderUnavailableError(
                f"Whether batch {works} of {self.client.endpoint.name} is the one whose answer was lost shows "
                "when it has ended: it is looked at again then"
            )
        return None

    @translated(of_batch=True)
    async def look(self, remote_id: str) -> RemoteBatch:
        """How far a batch is."""
        batch = await self._get(f"/{quote(remote_id)}")
        counts = batch["request_counts"]
        told = f"{sum(counts.values()) - counts['processing']} of {sum(counts.values())} answered"
        has_ended = batch["processing_status"] == "ended" and batch.get("results_url")
        return RemoteBatch(remote_id, "ended" if has_ended else "works", counts=told)

    async def read(self, remote_id: str) -> AsyncIterator[Answer]:
        """Reads the results, as a whole before the first of them is given."""
        with TemporaryFile() as file:
            await self._download(remote_id, file)
            for custom_id, row in read_rows(file):
                yield self._read_row(custom_id, row)

    @translated(of_batch=True)
    async def cancel(self, remote_id: str) -> None:
        """Cancels a batch that has not ended."""
        came = await self._http.post(f"{self._address}/{quote(remote_id)}/cancel")
        # Otherwise it has ended meanwhile.
        if came.status_code not in (httpx.codes.BAD_REQUEST, httpx.codes.CONFLICT):
            came.raise_for_status()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()
        await self.client.close()

    @translated()
    async def _check_list(self) -> None:
        """Checks before a create that it could be looked for.

        Raises:
            RequestRefusedError: the provider has no list.
        """
        try:
            await self._get("", {"limit": 1})
        except httpx.HTTPStatusError as error:
            if error.response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST):
                raise self.make_unlisted(error) from error
            raise

    async def _get(self, path: str, asked: Mapping[str, Any] | None = None) -> Any:
        came = await self._http.get(f"{self._address}{path}", params=asked)
        return came.raise_for_status().json()

    async def _has_lines(self, remote_id: str, ids: set[str]) -> bool:
        with TemporaryFile() as file:
            await self._download(remote_id, file)
            found = {custom_id for custom_id, _ in read_rows(file)}
        return bool(found) and found <= ids

    @translated(of_batch=True)
    async def _download(self, remote_id: str, file: IO[bytes]) -> None:
        # Not from the address that the batch tells: the key goes nowhere else.
        async with self._http.stream("GET", f"{self._address}/{quote(remote_id)}/results") as came:
            if came.is_error:
                await came.aread()
            async for part in came.raise_for_status().aiter_bytes():
                file.write(part)

    def _read_row(self, custom_id: str, row: Mapping[str, Any]) -> Answer:
        result = row.get("result") or {}
        if result.get("type") == "succeeded":
            return self.make_answer(custom_id, OK, result.get("message"))
        error = result.get("error")
        if result.get("type") != "errored" or not isinstance(error, dict):
            return self.make_answer(custom_id, None, None, str(result.get("type") or "no answer"))
        inner = error.get("error") or error
        return self.make_answer(custom_id, STATUSES.get(str(inner.get("type")), 500), error)


def _may_be(batch: Mapping[str, Any], tried_at: float, count: int) -> bool:
    """Whether a batch is of the time of a create and has as many lines."""
    created = datetime.fromisoformat(batch["created_at"]).timestamp()
    in_time = -BEFORE_SECONDS <= created - tried_at <= AFTER_SECONDS
    return in_time and sum(batch["request_counts"].values()) == count


async def _read_parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    while part := file.read(PART_BYTES):
        yield part
