"""Flow runs of the main job as the HTTP API sees them, read from Prefect's answers."""

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
# Prefect's server and the HTTP API may stand on hosts whose clocks differ a little.
DUE_MARGIN = timedelta(seconds=5)
PAGE = 200


@dataclass(frozen=True, slots=True)
class Run:
    """One flow run of the main job.

    ``live`` says that it has, or may take, its model's lease (docs/decisions/009-http.md), ``over`` that it has
    ended. A run that is scheduled for later, or suspended until a person has spoken, is neither.
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
        """Whether its labels say that it holds the model's lease."""
        return self.labels is not None and bool(self.labels.lease_id)

    @property
    def counts(self) -> bool:
        """Whether it counts as an operation on the model: a run that was turned away at once, since another held the
        lease, does not.
        """
        return self.labels is not None or self.status != "cancelled" or self.started_at is None

    @property
    def begun_at(self) -> datetime:
        """When it took the lease; for a run that never held it, when it ended."""
        if self.labels is not None:
            return self.labels.leased_at
        return self.ended_at or datetime.min.replace(tzinfo=UTC)

    def uses_effort(self, own: Effort | None) -> str:
        """The effort that it uses on a model whose own default is ``own``."""
        return self.effort or own or DEFAULT_EFFORT


async def read_runs(client: PrefectClient, wanted: FlowRunFilter) -> list[FlowRun]:
    """All flow runs that fit a filter, however many there are: Prefect gives them in pages."""
    found: list[FlowRun] = []
    while page := await client.read_flow_runs(flow_run_filter=wanted, limit=PAGE, offset=len(found)):
        found += page
    return found


def read_run(answer: Mapping[str, Any], now: datetime) -> Run:
    """The run of one object of Prefect's ``/flow_runs`` answers."""
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
        # Prefect gives a start also to what was ended before it began.
        started_at=read_time(answer.get("start_time")) if answer.get("run_count") else None,
        ended_at=read_time(answer.get("end_time")),
        message=str((answer.get("state") or {}).get("message") or ""),
        labels=read_lease_labels(answer.get("labels") or {}),
    )


def choose_operation(live: Sequence[Run], ended: Iterable[Run]) -> Run | None:
    """The run that holds the model's lease, else one that may take it, else the newest that has ended."""
    if live:
        return next((run for run in live if run.holds), live[-1])
    return max((run for run in ended if run.counts), key=lambda run: run.begun_at, default=None)


def read_time(value: object) -> datetime | None:
    """A moment of Prefect's answers, in UTC."""
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) and value else None


def _read_handle(tags: Iterable[str], parameters: Mapping[str, Any]) -> str:
    """By its tag; a run of the UI or of a schedule that has not begun has only the parameter."""
    tagged = (tag.removeprefix("model:") for tag in tags if tag.startswith("model:"))
    return next(tagged, str(parameters.get("handle") or ""))
