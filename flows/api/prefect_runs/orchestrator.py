"""What the routes need of whoever holds the runs of models: Prefect's server, by ``client.PrefectOrchestrator``."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from engine.errors import OrchestratorError
from flows.run.flow_runs import Run

UNSURE = (
    "Prefect's server went away while the run was being enqueued. Whether it was enqueued is not known: read the model "
    "when the server is back, or send the request again, which makes no second run."
)


class UnsureError(OrchestratorError):
    """Prefect's server went away while a run was being created: whether the run exists is not known."""


@dataclass(frozen=True, slots=True)
class CreatedRun:
    """The run of an idempotency key, and whether this request created it."""

    run: Run
    new: bool


class Orchestrator(Protocol):
    """Finds the runs of models and creates new ones.

    Raises:
        OrchestratorError: from every method, if it cannot be asked.
    """

    # Is held by who looks up a model's newest run and creates its successor.
    creation_lock: asyncio.Lock

    async def ping(self) -> None:
        """Checks that it can be asked."""

    async def list_live(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        """The live runs of each model, the newest first."""

    async def list_ended(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        """The runs of each model that ended, the last one first."""

    async def find_newest(self, handle: str) -> Run | None:
        """The newest run of a model that was requested over HTTP, live or ended; None if there is none."""

    async def find_run(self, run_id: str) -> Run | None:
        """The run of an id, which has to be a UUID; None if there is none."""

    async def read_progress(self, run_ids: Sequence[str]) -> dict[str, float]:
        """The progress in [0, 1] of each run that has published any, by run id."""

    async def create_run(self, handle: str, synth_type: str, effort: str, key: str) -> CreatedRun:
        """Creates the run of an idempotency key, or returns the one that has it: a key stands for one run for ever.

        Raises:
            UnsureError: whether the run was enqueued is not known.
            OrchestratorError: nothing was enqueued.
        """

    async def create_review(self, parameters: Mapping[str, Any]) -> str:
        """Enqueues a run of ``review/on-demand``, and returns its id."""

    def keep_runs_out(self, handle: str) -> AbstractContextManager[None]:
        """Holds the model's slot inside the block; entering it blocks the thread.

        Raises:
            ModelBusyError: a run works on the model, or begins to.
        """
