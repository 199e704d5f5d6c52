"""Batches in OpenAI's form: of OpenAI, of Azure, and of gateways that serve ``/v1/files`` and ``/v1/batches``."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Literal

from engine.llm.batches.remote import TIMEOUT, TIMEOUT_SECONDS, RemoteWire, read_rows, translated, write_rows
from engine.llm.batches.wire import Answer, Line, Place, RemoteBatch

if TYPE_CHECKING:
    from openai.types import Batch

# The name of our key in a batch's metadata.
KEY = "exemplars"
# Batches on a page of the list, at most.
PAGE = 100
STATES: Mapping[str, Literal["works", "ended", "refused"]] = {
    "completed": "ended",
    "expired": "ended",
    "cancelled": "ended",
    "failed": "refused",
}
# Of a batch that failed in validation, this many of its errors are told.
TOLD = 3


class OpenAIWire(RemoteWire):
    """See ``Wire``; a batch carries its key in the metadata, so that it is found by it."""

    def __init__(self, place: Place, api_key: str | None) -> None:
        super().__init__(place, api_key)
        self._openai = self.client.open_files(TIMEOUT)
        # As the lines of a file have it, and the batch: Azure's has no version.
        self._url: Any = "/chat/completions" if place.model.startswith("azure/") else "/v1/chat/completions"

    @translated()
    async def upload(self, key: str, lines: Sequence[Line]) -> str | None:
        """Uploads the lines as a file of JSON, named by the key."""
        asked = {"method": "POST", "url": self._url}
        rows = ({"custom_id": line.custom_id, **asked, "body": line.body} for line in lines)
        with TemporaryFile() as file:
            write_rows(file, rows)
            file.seek(0)
            kept = await self._openai.files.create(file=(f"{key}.jsonl", file), purpose="batch")
            if str(kept.status) == "pending":
                # Azure looks at a file before a batch may name it.
                await self._openai.files.wait_for_processing(kept.id, poll_interval=1, max_wait_seconds=TIMEOUT_SECONDS)
            return kept.id

    @translated(creates=True)
    async def create(self, key: str, file_id: str | None, lines: Sequence[Line]) -> str:
        """Creates the batch, if the list can be read by which it could be found again."""
        await self._check_list()
        made = await self._openai.batches.create(
            input_file_id=file_id or "", endpoint=self._url, completion_window="24h", metadata={KEY: key}
        )
        return str(made.id)

    @translated()
    async def find(self, key: str, tried_at: float, ids: Collection[str], taken: Collection[str]) -> str | None:
        """Finds the batch by the key in its metadata."""
        seen: set[str] = set()
        async for batch in self._openai.batches.list(limit=PAGE):
            if batch.id in seen:
                raise self.make_unlisted("its pages repeat themselves")
            seen.add(batch.id)
            if (batch.metadata or {}).get(KEY) == key and batch.id not in taken:
                return batch.id
        return None

    async def look(self, remote_id: str) -> RemoteBatch:
        """How far a batch is; one that is over still works as long as its file of answers is not there."""
        batch = await self._retrieve(remote_id)
        state, counts = STATES.get(batch.status, "works"), batch.request_counts
        told = f"{counts.completed + counts.failed} of {counts.total} answered" if counts else ""
        if state == "ended" and _lacks_file(batch):
            state = "works"
        problems = (batch.errors and batch.errors.data) or ()
        said = "; ".join(str(problem.message) for problem in problems[:TOLD])
        return RemoteBatch(remote_id, state, self.redact(said), told)

    async def read(self, remote_id: str) -> AsyncIterator[Answer]:
        """Reads the file of answers and that of errors, each as a whole before the first of its lines is given."""
        batch = await self._retrieve(remote_id)
        # A file that is not there is null, or empty.
        for number in filter(None, (batch.output_file_id, batch.error_file_id)):
            with TemporaryFile() as file:
                await self._download(number, file)
                for custom_id, row in read_rows(file):
                    yield self._read_row(custom_id, row)

    @translated(of_batch=True)
    async def cancel(self, remote_id: str) -> None:
        """Cancels a batch that has not ended."""
        import openai

        try:
            await self._openai.batches.cancel(remote_id)
        except (openai.ConflictError, openai.BadRequestError):
            # It has ended meanwhile.
            return

    async def close(self) -> None:
        """Closes the connections."""
        await self._openai.close()
        await self.client.close()

    @translated()
    async def _check_list(self) -> None:
        """Checks before a create that it could be looked for.

        Raises:
            RequestRefusedError: the provider has no list.
        """
        import openai

        try:
            await self._openai.batches.list(limit=1)
        except (openai.NotFoundError, openai.BadRequestError) as error:
            raise self.make_unlisted(error) from error

    @translated(of_batch=True)
    async def _retrieve(self, remote_id: str) -> "Batch":
        return await self._openai.batches.retrieve(remote_id)

    @translated(of_batch=True)
    async def _download(self, number: str, file: IO[bytes]) -> None:
        async with self._openai.files.with_streaming_response.content(number) as came:
            async for part in came.iter_bytes():
                file.write(part)

    def _read_row(self, custom_id: str, row: Mapping[str, Any]) -> Answer:
        came, error = row.get("response"), row.get("error")
        if isinstance(came, dict) and came.get("status_code"):
            return self.make_answer(custom_id, came["status_code"], came.get("body"))
        said = (isinstance(error, dict) and (error.get("message") or error.get("code"))) or "no answer"
        return self.make_answer(custom_id, None, None, str(said))


def _lacks_file(batch: "Batch") -> bool:
    """Whether answers are still to come of a batch that is over: its file may follow it by minutes."""
    if batch.output_file_id:
        return False
    if batch.request_counts and batch.request_counts.completed:
        return True
    return batch.status == "completed" and not batch.error_file_id
