"""Batches in Anthropic's form: the create call carries all requests, and a batch cannot store our key."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote

from engine.errors import ProviderUnavailableError
from engine.llm.batches.provider import OK, HttpBatchProvider, Line, RemoteBatch, write_rows
from engine.llm.client.batch_client import BETA

# An unconfirmed create was accepted at most so long before or after it was sent: clocks differ, uploads take time.
BEFORE_SECONDS, AFTER_SECONDS = 600, 3600
PART_BYTES = 1 << 20
# Permanent kinds of error, not worth a retry (Anthropic's page on errors).
LASTING = ("invalid_request", "authentication", "billing", "permission", "not_found", "request_too_large")
REFUSED = 400


class AnthropicBatchProvider(HttpBatchProvider):
    """See ``BatchProvider``. Time and line count find a lost create; the ``custom_id``s of its results confirm it."""

    path, page, after = "/messages/batches", 1000, "after_id"

    async def upload(self, key: str, lines: Iterable[Line]) -> str | None:
        """Upload nothing: the create call carries the lines."""
        return None

    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        """See ``BatchProvider``.

        Raises:
            ProviderUnavailableError: a candidate batch has not ended, so its lines cannot be compared yet.
        """
        pending_id, requested_ids = "", set(ids)
        async for batch in self._list():
            if batch["id"] in taken or not _may_be(batch, tried_at, len(requested_ids)):
                continue
            if batch["processing_status"] != "ended":
                pending_id = batch["id"]
                continue
            result_ids = {row["custom_id"] async for row in self._download(self._name_results(batch["id"]))}
            if result_ids and result_ids <= requested_ids:
                return str(batch["id"])
        if pending_id:
            raise ProviderUnavailableError(
                f"Batch {pending_id} of {self._client.endpoint.name} may be the one that was created without "
                "confirmation. Its lines can be compared when it has ended: it is checked again then"
            )
        return None

    async def look(self, remote_id: str) -> RemoteBatch:
        """Return the state of a batch."""
        batch = await self._look(remote_id)
        total, processing = sum(batch["request_counts"].values()), batch["request_counts"]["processing"]
        has_ended = batch["processing_status"] == "ended" and batch.get("results_url")
        return RemoteBatch("ended" if has_ended else "works", f"{total - processing} of {total} answered")

    async def _create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> dict[str, Any]:
        betas: set[str] = set()

        def write_line(line: Line) -> Mapping[str, Any]:
            betas.update(filter(None, str(line.body.get(BETA, "")).split(",")))
            params = {name: part for name, part in line.body.items() if name != BETA}
            return {"custom_id": line.custom_id, "params": params}

        with TemporaryFile() as file:
            write_rows(file, map(write_line, lines), '{"requests": [', ",\n")
            file.write(b"]}")
            # With a content length the body is not sent in chunks, which some gateways reject.
            headers = {"content-length": str(file.tell())} | ({BETA: ",".join(sorted(betas))} if betas else {})
            file.seek(0)
            options = {"content": _read_parts(file), "options": {"headers": headers}}
            return await self._ask("post", self.path, creates=True, **options)

    async def _find_results(self, remote_id: str) -> list[str]:
        return [self._name_results(remote_id)]

    def _name_results(self, remote_id: str) -> str:
        # Not the URL that the batch names: the key is sent to no other address.
        return f"{self.path}/{quote(remote_id)}/results"

    def _read_row(self, row: Mapping[str, Any]) -> tuple[int | None, Any]:
        result = row.get("result") or {}
        if result.get("type") == "succeeded":
            return OK, result.get("message")
        error = result.get("error") or {}
        kind = str((error.get("error") or error).get("type")).removesuffix("_error")
        return REFUSED if result.get("type") == "errored" and kind in LASTING else None, None


def _may_be(batch: Mapping[str, Any], tried_at: float, count: int) -> bool:
    """Return whether a batch was created at the right time and has ``count`` lines."""
    created = datetime.fromisoformat(batch["created_at"]).timestamp()
    in_time = -BEFORE_SECONDS <= created - tried_at <= AFTER_SECONDS
    return in_time and sum(batch["request_counts"].values()) == count


async def _read_parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    while part := file.read(PART_BYTES):
        yield part
