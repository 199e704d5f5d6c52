"""Read flow runs of the main job from Prefect's answers, as the HTTP API shows them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun

from engine.definitions.effort import DEFAULT_EFFORT
from engine.domain.model import Effort
from flows.run.labels import LIVE_TYPES, SUSPENDED, LeaseLabels, read_lease_labels

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]

STATUSES: Mapping[str, Status] = {
    "SCHEDULED": "queued",
    "PENDING": "queued",
    "RUNNING": "running",
    "PAUSED": "running",
    "CANCELLING": "running",
    "COMPLETED": "succeeded",
    "FAILED": "failed",
    "CRASHED": "failed",
    "CANCELLED": "cancelled",
}
ENDED_TYPES = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
# The clocks of the hosts of Prefect's server and the HTTP API may differ a little.
DUE_MARGIN = timedelta(seconds=5)
PAGE = 200


@dataclass(frozen=True, slots=True)
class Run:
    """One flow run of the main job.

    ``live``: the run has its model's lease, or may take it (docs/decisions/009-http.md). ``over``: the run has ended.
    A run that is scheduled for later, or suspended until a person decides, is neither.
    """

    run_id: str
    handle: str
    synth_type: str
    effort: str | None
    status: Status
    live: bool
    over: bool
    started_at: datetime | None
    ended_at: datetime | None
    message: str
    labels: LeaseLabels | None

    @property
    def holds(self) -> bool:
        """Return whether its labels say that it holds the model's lease."""
        return self.labels is not None and bool(self.labels.lease_id)

    @property
    def counts(self) -> bool:
        """Return whether it counts as an operation on the model. A run that was refused at once, because another run
        held the lease, does not.
        """
        return self.labels is not None or self.status != "cancelled" or self.started_at is None

    @property
    def begun_at(self) -> datetime:
        """Return when it took the lease; for a run that never held the lease, when it ended."""
        if self.labels is not None:
            return self.labels.leased_at
        return self.ended_at or datetime.min.replace(tzinfo=UTC)

    def uses_effort(self, default: Effort | None) -> str:
        """Return the run's effort, on a model with this ``default`` of its own."""
        return self.effort or default or DEFAULT_EFFORT


async def read_runs(client: PrefectClient, run_filter: FlowRunFilter) -> list[FlowRun]:
    """Return all flow runs that match a filter, from all pages of Prefect's answers."""
    runs: list[FlowRun] = []
    while page := await client.read_flow_runs(flow_run_filter=run_filter, limit=PAGE, offset=len(runs)):
        runs += page
    return runs


def read_run(answer: Mapping[str, Any], now: datetime) -> Run:
    """Return the run of one object of Prefect's ``/flow_runs`` answers."""
    parameters = answer.get("parameters") or {}
    state_type = str(answer.get("state_type"))
    begins = read_time(answer.get("expected_start_time"))
    due = state_type != "SCHEDULED" or begins is None or begins <= now + DUE_MARGIN
    return Run(
        run_id=str(answer["id"]),
        handle=_read_handle(answer.get("tags") or (), parameters),
        synth_type=str(parameters.get("synth_type") or "from_traits"),
        effort=parameters.get("effort"),
        status=STATUSES.get(state_type, "queued"),
        live=state_type in LIVE_TYPES and due and (answer.get("state_name") != SUSPENDED),
        over=state_type in ENDED_TYPES,
        # Prefect also gives a start time to a run that was ended before it began.
        started_at=read_time(answer.get("start_time")) if answer.get("run_count") else None,
        ended_at=read_time(answer.get("end_time")),
        message=str((answer.get("state") or {}).get("message") or ""),
        labels=read_lease_labels(answer.get("labels") or {}),
    )


def choose_operation(live: Sequence[Run], ended: Iterable[Run]) -> Run | None:
    """Return the run that holds the model's lease, else a run that may take it, else the newest ended run."""
    if live:
        return next((run for run in live if run.holds), live[-1])
    return max((run for run in ended if run.counts), key=lambda run: run.begun_at, default=None)


def read_time(value: object) -> datetime | None:
    """Return a time of Prefect's answers, in UTC."""
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) and value else None


def _read_handle(tags: Iterable[str], parameters: Mapping[str, Any]) -> str:
    """Return the handle of the tag, else of the parameter: a run not yet begun, of UI or schedule, has no tag."""
    tagged = (tag.removeprefix("model:") for tag in tags if tag.startswith("model:"))
    return next(tagged, str(parameters.get("handle") or ""))
