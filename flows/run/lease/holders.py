"""Runs whose labels say that they hold a model's lease, whether their processes are still there, and what becomes of a
run whose process is gone.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort

from flows.run.labels import LeaseLabels, name_tag, read_lease_labels

# A run that is scheduled has no process, whatever mark it bears from an earlier attempt.
AT_WORK = (StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING)
OVER = (StateType.CRASHED, StateType.FAILED, StateType.CANCELLED, StateType.COMPLETED)
OVER_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Holder:
    """A run with lease labels; ``gone`` is whether its process has ended, None where that cannot be seen from here."""

    run_id: UUID
    labels: LeaseLabels
    gone: bool | None

    @property
    def process(self) -> tuple[UUID, str]:
        """The run id and the process: tells this attempt of the run from another."""
        return self.run_id, self.labels.process

    def __str__(self) -> str:
        return f"run {self.run_id} ({describe_process(self.labels.process)})"


def list_holders(client: SyncPrefectClient, handle: str, over: bool = False) -> list[Holder]:
    """The runs of a model that have not ended and have lease labels.

    Args:
        over: in their place the latest that have ended, and did not release their lease.
    """
    types = list(OVER if over else AT_WORK)
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(tags={"all_": [name_tag(handle)]}, state={"type": {"any_": types}}),
        sort=FlowRunSort.END_TIME_DESC if over else FlowRunSort.START_TIME_DESC,
        limit=OVER_LOOKED_AT if over else None,
    )
    return [
        Holder(run.id, labels, is_gone(labels.process))
        for run in runs
        if (labels := read_lease_labels(run.labels)) is not None and labels.lease_id
    ]


def free_lease(client: SyncPrefectClient, run_id: UUID, labels: LeaseLabels) -> None:
    """Frees the lease of a run whose process is gone and could not do so itself, and says so in its labels."""
    if labels.lease_id:
        client.release_concurrency_slots_with_lease(UUID(labels.lease_id))
        client.update_flow_run_labels(run_id, dict(labels.released().to_labels()))


def name_process() -> str:
    """The name of this process: where it runs, its id, and when it began, since containers use the same ids again."""
    return f"{_name_place()}/{os.getpid()}/{_read_begin(os.getpid())}"


def describe_process(process: str) -> str:
    """A process in words for a person: “process 4711 on host-1”."""
    place, _, own = process.partition("/")
    return f"process {own.partition('/')[0]} on {place.partition('|')[0]}"


def is_gone(process: str) -> bool | None:
    """Whether a process has ended; None where that cannot be known from this machine."""
    place, _, own = process.partition("/")
    pid, _, begin = own.partition("/")
    if place != _name_place() or not pid.isdecimal():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # Another user's, whose beginning a system may hide.
        return None
    return _read_begin(int(pid)) != begin


def _name_place() -> str:
    """The host and its namespace of process ids: containers may share the first."""
    try:
        return f"{socket.gethostname()}|{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        # No such system: the host's name has to do.
        return f"{socket.gethostname()}|"


def _read_begin(pid: int) -> str:
    """When a process began, as Linux tells it (proc(5), field 22 of stat); ``ended`` for a zombie, and empty where it
    cannot be read: there the process id has to do.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if state in "ZX" else fields[18]
