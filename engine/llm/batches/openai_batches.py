"""Batches in OpenAI's form, for OpenAI, Azure and gateways that serve ``/v1/files`` and ``/v1/batches``."""

from collections.abc import Collection, Iterable, Mapping
from tempfile import TemporaryFile
from typing import Any, Literal
from urllib.parse import quote

from engine.llm.batches.account import BatchAccount
from engine.llm.batches.provider import TIMEOUT_SECONDS, HttpBatchProvider, Line, RemoteBatch, write_rows

# The name of our key in a batch's metadata.
KEY = "exemplars"
STATES: Mapping[str, Literal["works", "ended", "refused"]] = {
    "completed": "ended",
    "expired": "ended",
    "cancelled": "ended",
    "failed": "refused",
}
# Number of errors reported for a batch that failed in validation.
MAX_ERRORS = 3


class OpenAIBatchProvider(HttpBatchProvider):
    """See ``BatchProvider``. A batch stores its key in its metadata, so it can be found by key."""

    path, page, after = "/batches", 100, "after"

    def __init__(self, account: BatchAccount, api_key: str | None) -> None:
        super().__init__(account, api_key)
        # The URL in the file's lines and in the batch; Azure's has no version.
        self._url = "/chat/completions" if account.model.startswith("azure/") else "/v1/chat/completions"

    async def upload(self, key: str, lines: Iterable[Line]) -> str | None:
        """Upload the lines as a JSON Lines file named after the key."""
        target = {"method": "POST", "url": self._url}
        with TemporaryFile() as file:
            write_rows(file, ({"custom_id": line.custom_id, **target, "body": line.body} for line in lines))
            file.seek(0)
            uploaded = await self._translate(self._server.files.create(file=(f"{key}.jsonl", file), purpose="batch"))
        if str(uploaded.status) == "pending":
            # Azure validates a file before a batch may refer to it.
            options = {"poll_interval": 1, "max_wait_seconds": TIMEOUT_SECONDS}
            await self._translate(self._server.files.wait_for_processing(uploaded.id, **options))
        return uploaded.id

    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        """Find the batch by the key in its metadata."""
        async for batch in self._list():
            if (batch.get("metadata") or {}).get(KEY) == key and batch["id"] not in taken:
                return str(batch["id"])
        return None

    async def look(self, remote_id: str) -> RemoteBatch:
        """Return the state of a batch."""
        batch = await self._look(remote_id)
        state, counts = STATES.get(batch["status"], "works"), batch.get("request_counts") or {}
        if state == "refused":
            errors = (batch.get("errors") or {}).get("data") or ()
            return RemoteBatch(state, self._redact("; ".join(str(each["message"]) for each in errors[:MAX_ERRORS])))
        has_no_errors = batch["status"] == "completed" and not batch.get("error_file_id")
        # A gateway may leave out some of the counts.
        answered = sum(counts.get(name) or 0 for name in ("completed", "failed"))
        progress = f"{answered} of {counts['total']} answered" if counts.get("total") else ""
        if state == "ended" and not batch.get("output_file_id") and (counts.get("completed") or has_no_errors):
            return RemoteBatch("no file", f"{progress or 'completed'}, but there is no file of answers yet")
        return RemoteBatch(state, progress)

    async def _create(self, key: str, file_id: str | None, lines: Iterable[Line]) -> dict[str, Any]:
        fields = {"input_file_id": file_id, "endpoint": self._url, "completion_window": "24h", "metadata": {KEY: key}}
        return await self._ask("post", self.path, creates=True, body=fields)

    async def _find_results(self, remote_id: str) -> list[str]:
        batch = await self._look(remote_id)
        # A missing file is null or empty.
        files = filter(None, (batch.get("output_file_id"), batch.get("error_file_id")))
        return [f"/files/{quote(number)}/content" for number in files]

    def _read_row(self, row: Mapping[str, Any]) -> tuple[int | None, Any]:
        response = row.get("response") or {}
        return response.get("status_code") or None, response.get("body")
