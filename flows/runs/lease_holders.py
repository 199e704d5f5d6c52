"""Other runs whose labels say that they hold a model's lease, and what becomes of one whose process is gone."""

from dataclasses import dataclass
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

from flows.runs.labels import LeaseLabels, name_tag, read_lease_labels
from flows.runs.process_identity import describe_process, is_gone
from flows.runs.slot import free_lease

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
    over: bool

    @property
    def process(self) -> tuple[UUID, str]:
        """The run id and the process: tells this attempt of the run from another."""
        return self.run_id, self.labels.process

    def __str__(self) -> str:
        return f"run {self.run_id} ({describe_process(self.labels.process)})"


def list_holders(client: SyncPrefectClient, handle: str) -> list[Holder]:
    """The runs of a model that have not ended and have lease labels."""
    return _list_marked(client, handle, AT_WORK)


def list_dead_holders(client: SyncPrefectClient, handle: str) -> list[Holder]:
    """Of the latest ended runs of a model, those that did not release their lease and whose process is gone."""
    return [holder for holder in _list_marked(client, handle, OVER, OVER_LOOKED_AT) if holder.gone]


def mark_crashed(client: SyncPrefectClient, holder: Holder, successor: UUID) -> None:
    """Frees the lease of a run whose process is gone, and sets the run to Crashed where it has not ended."""
    free_lease(client, holder.run_id, holder.labels)
    if not holder.over and holder.run_id != successor:
        said = f"Its process is gone; run {successor} took over its lease. Its replies are kept"
        client.set_flow_run_state(holder.run_id, Crashed(message=said), force=True)


def _list_marked(
    client: SyncPrefectClient, handle: str, types: tuple[StateType, ...], limit: int | None = None
) -> list[Holder]:
    found = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            tags=FlowRunFilterTags(all_=[name_tag(handle)]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))),
        ),
        sort=FlowRunSort.END_TIME_DESC if types == OVER else FlowRunSort.START_TIME_DESC,
        limit=limit,
    )
    return [holder for run in found if (holder := _read_holder(run)) is not None]


def _read_holder(run: FlowRun) -> Holder | None:
    labels = read_lease_labels(run.labels)
    if labels is None or not labels.lease_id:
        return None
    return Holder(run.id, labels, is_gone(labels.process), run.state is not None and run.state.is_final())
