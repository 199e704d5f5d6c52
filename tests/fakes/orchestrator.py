"""An orchestrator in memory: runs as Prefect's API shows them, in the states that a test puts them into."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from engine.errors import ExemplarsError, ModelBusyError, OrchestratorError
from flows.api.orchestrator import UNSURE, Orchestrator, UnsureError
from flows.run.flow_runs import ENDED_TYPES, Run, read_run
from flows.run.labels import HTTP_TAG, name_tag


@dataclass
class FakeOrchestrator(Orchestrator):
    """Cannot be asked while it is ``away``, and creates no run that it is sure of while it is ``unsure``.

    ``runs`` are the answers of Prefect's API, the oldest first; ``slots`` the models that are
    held, each with what is told to who would hold it too.
    """

    away: bool = False
    unsure: bool = False
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    progress: dict[str, float] = field(default_factory=dict)
    slots: dict[str, ExemplarsError] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    creation_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def add_run(self, tags: Sequence[str] = (), **parameters: object) -> str:
        """A run that is due, as the form of the UI makes one; its id."""
        run_id, due = str(uuid4()), datetime.now(UTC).isoformat()
        self.runs[run_id] = {"id": run_id, "parameters": parameters, "tags": [*tags], "expected_start_time": due}
        self.set_state(run_id, "SCHEDULED")
        return run_id

    def set_state(self, run_id: str, state: str, message: str | None = None, name: str | None = None) -> None:
        """Puts a run into a state of a type, by the name that Prefect gives it where nothing else is said."""
        run, now = self.runs[run_id], datetime.now(UTC).isoformat()
        run |= {"state_type": state, "state_name": name or state.title(), "state": {"message": message}}
        if state == "RUNNING":
            run |= {"start_time": now, "run_count": 1}
        if state in ENDED_TYPES:
            run["end_time"] = now

    def end_runs(self, state: str = "COMPLETED") -> None:
        for run_id, run in self.runs.items():
            if run["state_type"] not in ENDED_TYPES:
                self.set_state(run_id, state)

    async def ping(self) -> None:
        await self._answer()

    async def list_live(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        await self._answer()
        return {handle: [run for run in self._list(handle) if run.live] for handle in handles}

    async def list_ended(self, handles: Sequence[str]) -> dict[str, list[Run]]:
        await self._answer()
        return {handle: [run for run in self._list(handle) if run.over] for handle in handles}

    async def find_newest(self, handle: str) -> Run | None:
        await self._answer()
        return next((run for run in self._list(handle) if HTTP_TAG in self.runs[run.run_id]["tags"]), None)

    async def find_run(self, run_id: str) -> Run | None:
        await self._answer()
        return read_run(self.runs[run_id], datetime.now(UTC)) if run_id in self.runs else None

    async def read_progress(self, run_ids: Sequence[str]) -> dict[str, float]:
        await self._answer()
        return {run_id: share for run_id, share in self.progress.items() if run_id in run_ids}

    async def create_run(self, handle: str, synth_type: str, effort: str, key: str) -> tuple[Run, bool]:
        await self._answer()
        if self.unsure:
            raise UnsureError(UNSURE)
        new = key not in self.keys
        if new:
            asked = {"handle": handle, "synth_type": synth_type, "effort": effort}
            self.keys[key] = self.add_run((name_tag(handle), HTTP_TAG), **asked)
        return read_run(self.runs[self.keys[key]], datetime.now(UTC)), new

    async def create_review(self, parameters: Mapping[str, Any]) -> str:
        await self._answer()
        return self.add_run(**parameters)

    @contextmanager
    def lock_model(self, handle: str) -> Iterator[None]:
        if handle in self.slots:
            raise self.slots[handle]
        self.slots[handle] = ModelBusyError(f"The lease of {handle} is taken")
        try:
            yield
        finally:
            del self.slots[handle]

    async def _answer(self) -> None:
        """As long as a request takes: others have their turn."""
        await asyncio.sleep(0)
        if self.away:
            raise OrchestratorError("Prefect's server does not answer.")

    def _list(self, handle: str) -> list[Run]:
        found = [read_run(run, datetime.now(UTC)) for run in reversed(self.runs.values())]
        return [run for run in found if run.handle == handle]
