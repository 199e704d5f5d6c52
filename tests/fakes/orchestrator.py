"""An orchestrator in memory: runs as Prefect's API shows them, in the states that a test puts them into."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from engine.errors import ModelBusyError, OrchestratorError
from flows.api.prefect_runs.creation_lock import RunCreationLock
from flows.api.prefect_runs.orchestrator import UNSURE, CreatedRun, UnsureError
from flows.runs.flow_runs import ENDED_TYPES, Run, read_run
from flows.runs.labels import DOOR_TAG, SUSPENDED, name_tag


@dataclass
class FakeOrchestrator:
    """Cannot be asked while it is ``away``, and creates no run that it is sure of while it is ``unsure``.

    ``runs`` are the answers of Prefect's API, the oldest first; ``words`` what suspended runs were given to go on with,
    ``reviews`` what runs of ``review/on-demand`` were created with. ``slots`` are the models that are
    held, each with the run that holds it, or None; they cannot be asked for while ``slots_away``.
    """

    away: bool = False
    unsure: bool = False
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    progress: dict[str, float] = field(default_factory=dict)
    words: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    reviews: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    slots: dict[str, str | None] = field(default_factory=dict)
    slots_away: bool = False
    keys: dict[str, str] = field(default_factory=dict)
    creation_lock: RunCreationLock = field(default_factory=RunCreationLock)

    def add_run(self, tags: Sequence[str] = (), **parameters: object) -> str:
        """A run that is due, as the form of the UI makes one; its id."""
        run_id, now = str(uuid4()), datetime.now(UTC)
        made = {"id": run_id, "parameters": parameters, "tags": [*tags], "expected_start_time": now.isoformat()}
        self.runs[run_id] = made | {"labels": {}}
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

    def delete_run(self, run_id: str) -> None:
        """Deletes a run, and its key with it."""
        del self.runs[run_id]
        self.keys = {key: kept for key, kept in self.keys.items() if kept != run_id}

    def end_runs(self, state: str = "COMPLETED", message: str | None = None) -> None:
        """Ends all runs that are not over."""
        for run_id, run in self.runs.items():
            if run["state_type"] not in ENDED_TYPES:
                self.set_state(run_id, state, message)

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
        asked = [run for run in self._list(handle) if DOOR_TAG in self.runs[run.run_id]["tags"]]
        return asked[0] if asked else None

    async def find_run(self, run_id: str) -> Run | None:
        await self._answer()
        return read_run(self.runs[run_id], datetime.now(UTC)) if run_id in self.runs else None

    async def read_progress(self, run_ids: Sequence[str]) -> dict[str, float]:
        await self._answer()
        return {run_id: share for run_id, share in self.progress.items() if run_id in run_ids}

    async def create_run(self, handle: str, synth_type: str, effort: str, key: str) -> CreatedRun:
        await self._answer()
        if self.unsure:
            raise UnsureError(UNSURE)
        new = key not in self.keys
        if new:
            asked = {"handle": handle, "synth_type": synth_type, "effort": effort}
            self.keys[key] = self.add_run((name_tag(handle), DOOR_TAG), **asked)
        return CreatedRun(read_run(self.runs[self.keys[key]], datetime.now(UTC)), new)

    async def resume(self, run_id: str, run_input: Mapping[str, Any]) -> bool:
        await self._answer()
        if self.runs.get(run_id, {}).get("state_name") != SUSPENDED:
            return False
        self.words[run_id] = run_input
        self.set_state(run_id, "RUNNING")
        return True

    async def create_review(self, parameters: Mapping[str, Any]) -> str:
        await self._answer()
        run_id = self.add_run(**parameters)
        self.reviews[run_id] = parameters
        return run_id

    @contextmanager
    def keep_runs_out(self, handle: str) -> Iterator[None]:
        if self.away or self.slots_away:
            raise OrchestratorError("http://10.0.0.1:4200/api does not answer.")
        if handle in self.slots:
            raise ModelBusyError(f"The lease of {handle} is taken", self.slots[handle])
        self.slots[handle] = None
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
