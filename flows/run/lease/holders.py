"""Find the runs that hold a model's lease by their labels, check their processes, and free the leases of dead runs."""

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

# A scheduled run has no process, even if it has labels from an earlier attempt.
AT_WORK = (StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING)
OVER = (StateType.CRASHED, StateType.FAILED, StateType.CANCELLED, StateType.COMPLETED)
OVER_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Holder:
    """A run with lease labels. ``gone``: its process has ended; None if this machine cannot tell."""

    run_id: UUID
    labels: LeaseLabels
    gone: bool | None

    @property
    def process(self) -> tuple[UUID, str]:
        """Return the run id and the process, which together identify one attempt of the run."""
        return self.run_id, self.labels.process

    def __str__(self) -> str:
        return f"run {self.run_id} ({describe_process(self.labels.process)})"


def list_holders(client: SyncPrefectClient, handle: str, over: bool = False) -> list[Holder]:
    """Return the unfinished runs of a model with lease labels.

    Args:
        over: return instead the latest ended runs that did not release their lease.
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
    """Free the lease of a run without a process, which cannot do so itself, and mark it as released in the labels."""
    if labels.lease_id:
        client.release_concurrency_slots_with_lease(UUID(labels.lease_id))
        client.update_flow_run_labels(run_id, dict(labels.released().to_labels()))


def name_process() -> str:
    """Return this process's name: host, id and start time. The time is needed because containers reuse ids."""
    return f"{_name_place()}/{os.getpid()}/{_read_begin(os.getpid())}"


def describe_process(process: str) -> str:
    """Return the name of a process for a person: “process 4711 on host-1”."""
    place, _, rest = process.partition("/")
    return f"process {rest.partition('/')[0]} on {place.partition('|')[0]}"


def is_gone(process: str) -> bool | None:
    """Return whether a process has ended; None if this machine cannot tell."""
    place, _, rest = process.partition("/")
    pid, _, begin = rest.partition("/")
    if place != _name_place() or not pid.isdecimal():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # The process of another user: the system may hide its start time.
        return None
    return _read_begin(int(pid)) != begin


def _name_place() -> str:
    """Return the host and its namespace of process ids: containers may share a host name."""
    try:
        return f"{socket.gethostname()}|{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        # The system has no namespaces, so the host's name must suffice.
        return f"{socket.gethostname()}|"


def _read_begin(pid: int) -> str:
    """Return a process's start time from Linux (proc(5), field 22 of stat); ``ended`` for a zombie; empty if it cannot
    be read: then the process id must suffice.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if state in "ZX" else fields[18]
