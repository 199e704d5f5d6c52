"""Batches in Anthropic's form: requests stand in the create itself, and nothing of ours stands in a batch."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote

from engine.errors import ProviderUnavailableError
from engine.llm.batches.provider import OK, Line, RemoteBatch, SharedWire, write_rows
from engine.llm.client.batch_client import BETA

# A create that is looked for was accepted within these seconds of when it was sent: clocks differ, uploads last.
BEFORE_SECONDS, AFTER_SECONDS = 600, 3600
PART_BYTES = 1 << 20
# The kinds of error that no later try mends (its page on errors).
LASTING = ("invalid_request", "authentication", "billing", "permission", "not_found", "request_too_large")
REFUSED = 400


class AnthropicWire(SharedWire):
    """See ``BatchProvider``; a lost create is found by its time and count, and known by its results' ``custom_id``s."""

    path, page, after = "/messages/batches", 1000, "after_id"

    async def upload(self, key: str, lines: Iterable[Line]) -> str | None:
        """Uploads nothing: the lines go with the create."""
        return None

    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        """See ``BatchProvider``.

        Raises:
            ProviderUnavailableError: a batch that may be it has not ended, so that its lines cannot be compared yet.
        """
        works, known = "", set(ids)
        async for batch in self._list():
            if batch["id"] in taken or not _may_be(batch, tried_at, len(known)):
                continue
            if batch["processing_status"] != "ended":
                works = batch["id"]
                continue
            found = {row["custom_id"] async for row in self._download(self._name_results(batch["id"]))}
            if found and found <= known:
                return str(batch["id"])
        if works:
            raise ProviderUnavailableError(
                f"Whether batch {works} of {self._client.endpoint.name} is the one whose answer was lost shows when it "
                "has ended: it is looked at again then"
            )
        return None

    async def look(self, remote_id: str) -> RemoteBatch:
        """How far a batch is."""
        batch = await self._look(remote_id)
        total, works = sum(batch["request_counts"].values()), batch["request_counts"]["processing"]
        has_ended = batch["processing_status"] == "ended" and batch.get("results_url")
        return RemoteBatch("ended" if has_ended else "works", f"{total - works} of {total} answered")

    async def _create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> dict[str, Any]:
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
            options = {"content": _read_parts(file), "options": {"headers": headers}}
            return await self._ask("post", self.path, creates=True, **options)

    async def _find_results(self, remote_id: str) -> list[str]:
        return [self._name_results(remote_id)]

    def _name_results(self, remote_id: str) -> str:
        # Not the address that the batch tells: the key goes nowhere else.
        return f"{self.path}/{quote(remote_id)}/results"

    def _read_row(self, row: Mapping[str, Any]) -> tuple[int | None, Any]:
        result = row.get("result") or {}
        if result.get("type") == "succeeded":
            return OK, result.get("message")
        error = result.get("error") or {}
        kind = str((error.get("error") or error).get("type")).removesuffix("_error")
        return REFUSED if result.get("type") == "errored" and kind in LASTING else None, None


def _may_be(batch: Mapping[str, Any], tried_at: float, count: int) -> bool:
    """Whether a batch is of the time of a create and has as many lines."""
    created = datetime.fromisoformat(batch["created_at"]).timestamp()
    in_time = -BEFORE_SECONDS <= created - tried_at <= AFTER_SECONDS
    return in_time and sum(batch["request_counts"].values()) == count


async def _read_parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    while part := file.read(PART_BYTES):
        yield part
