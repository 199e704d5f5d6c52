"""Runs whose labels say that they hold a model's lease, whether their processes are still there, and what becomes of a
run whose process is gone.
"""

import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Crashed

from flows.run.labels import LeaseLabels, name_tag, read_lease_labels

# A run that is scheduled has no process, whatever mark it bears from an earlier attempt.
AT_WORK = (StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING)
OVER = (StateType.CRASHED, StateType.FAILED, StateType.CANCELLED, StateType.COMPLETED)
OVER_LOOKED_AT = 20
# No system gives out process ids of more digits.
_PROCESS = re.compile(r"(?P<place>.*)/(?P<pid>[0-9]{1,9})/(?P<begin>[^/]*)")


@dataclass(frozen=True, slots=True)
class Holder:
    """A run with lease labels; ``gone`` is whether its process has ended, None where that cannot be seen from here."""

    run_id: UUID
    labels: LeaseLabels
    gone: bool | None
    over: bool

    @property
    def process(self) -> tuple[UUID, str]:
        """The run id and the process: tells this attempt of the run from another."""
        return self.run_id, self.labels.process

    def __str__(self) -> str:
        return f"run {self.run_id} ({describe_process(self.labels.process)})"


def list_runs_at_work(client: SyncPrefectClient, handle: str) -> list[FlowRun]:
    """The runs of a model that have not ended, whether or not they have lease labels."""
    return _read_runs(client, handle, AT_WORK)


def select_holders(runs: Sequence[FlowRun], over: bool = False) -> list[Holder]:
    """Those of some runs that have lease labels; ``over`` says that all of them have ended."""
    return [
        Holder(run.id, labels, is_gone(labels.process), over)
        for run in runs
        if (labels := read_lease_labels(run.labels)) is not None and labels.lease_id
    ]


def list_holders(client: SyncPrefectClient, handle: str) -> list[Holder]:
    """The runs of a model that have not ended and have lease labels."""
    return select_holders(list_runs_at_work(client, handle))


def list_dead_holders(client: SyncPrefectClient, handle: str) -> list[Holder]:
    """Of the latest ended runs of a model, those that did not release their lease and whose process is gone."""
    ended = select_holders(_read_runs(client, handle, OVER, OVER_LOOKED_AT), over=True)
    return [holder for holder in ended if holder.gone]


def mark_crashed(client: SyncPrefectClient, holder: Holder, successor: UUID) -> None:
    """Frees the lease of a run whose process is gone, and sets the run to Crashed where it has not ended."""
    free_lease(client, holder.run_id, holder.labels)
    if not holder.over and holder.run_id != successor:
        said = f"Its process is gone; run {successor} took over its lease. Its replies are kept"
        client.set_flow_run_state(holder.run_id, Crashed(message=said), force=True)


def free_lease(client: SyncPrefectClient, run_id: UUID, labels: LeaseLabels) -> None:
    """Frees the lease of a run whose process is gone and could not do so itself, and says so in its labels."""
    if labels.lease_id:
        client.release_concurrency_slots_with_lease(UUID(labels.lease_id))
        client.update_flow_run_labels(run_id, dict(labels.released().to_labels()))


def name_process() -> str:
    """The name of this process: where it runs, its id, and when it began, since ids are used again."""
    return f"{_name_place()}/{os.getpid()}/{_read_begin(os.getpid())}"


def describe_process(process: str) -> str:
    """A process in words for a person: “process 4711 on host-1”."""
    named = _PROCESS.fullmatch(process)
    return f"process {named['pid']} on {named['place'].partition('|')[0]}" if named else f"process {process}"


def is_gone(process: str) -> bool | None:
    """Whether a process has ended; None where that cannot be known from this machine."""
    named = _PROCESS.fullmatch(process)
    if named is None or named["place"] != _name_place():
        return None
    try:
        os.kill(int(named["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # Another user's, whose beginning a system may hide.
        return None
    return _read_begin(int(named["pid"])) != named["begin"]


def _read_runs(
    client: SyncPrefectClient, handle: str, types: tuple[StateType, ...], limit: int | None = None
) -> list[FlowRun]:
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            tags=FlowRunFilterTags(all_=[name_tag(handle)]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))),
        ),
        sort=FlowRunSort.END_TIME_DESC if types == OVER else FlowRunSort.START_TIME_DESC,
        limit=limit,
    )


def _name_place() -> str:
    """The host and its namespace of process ids: containers may share the first."""
    try:
        return f"{socket.gethostname()}|{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        # No such system: the host's name has to do.
        return f"{socket.gethostname()}|"


def _read_begin(pid: int) -> str:
    """Clock ticks from the system's start to the process's (proc(5), field 22 of stat); ``ended`` for a zombie.

    Empty where it cannot be read; without ``/proc`` the process id has to do.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if state in "ZX" else fields[18]
