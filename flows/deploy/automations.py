"""The automations that end runs whose process is gone: what the deploy step sets up on a Prefect server."""

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from flows.runs.labels import AGAIN

FLOW_NAMES = ("synthesize", "backfill", "prune")
# prefect.yaml has the same number: a heartbeat each 30 s, the least that Prefect takes.
HEARTBEAT_SECONDS = 30
# Three heartbeats; with the 5 s of Prefect's own rhythm a run is CRASHED within the two minutes of issue 5.
SILENCE_SECONDS = 90
STUCK_SECONDS = 120
# Where runs are containers, an image of 2 GB may have to be pulled first.
CONTAINER_SECONDS = 900
ENDS = ("Completed", "Failed", "Crashed", "Cancelled")
WAITS = ("Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Paused", "Suspended")


@dataclass(frozen=True, slots=True)
class Watch:
    """Runs that enter ``state`` and of which none of ``expected`` is heard ``within_seconds`` become ``outcome``."""

    name: str
    description: str
    state: StateType
    begins: tuple[str, ...]
    expected: tuple[str, ...]
    within_seconds: int
    outcome: StateType
    message: str

    @property
    def left_event(self) -> str:
        """What the deploy step says of a run that it finds in this state: from then on it is watched, too."""
        return f"exemplars.flow-run.left-{self.state.value.lower()}"


WATCHES = (
    Watch(
        "exemplars: a run whose heartbeats stop is CRASHED",
        f"A run says every {HEARTBEAT_SECONDS} s that it lives. Its process and its worker may end together; then "
        "nobody else would say that it is over.",
        StateType.RUNNING,
        ("Running", "Retrying", "heartbeat"),
        ("heartbeat", "Cancelling", "Pending", *ENDS, *WAITS),
        SILENCE_SECONDS,
        StateType.CRASHED,
        f"No heartbeat for {SILENCE_SECONDS} s: the run's process is gone, or its machine is. {AGAIN}",
    ),
    Watch(
        "exemplars: a run that never starts is CRASHED",
        "A worker that picks a run and ends before it has started it leaves it pending.",
        StateType.PENDING,
        ("Pending", "Submitting", "InfrastructurePending"),
        ("Submitting", "InfrastructurePending", "Running", "Retrying", "Cancelling", *ENDS, *WAITS),
        STUCK_SECONDS,
        StateType.CRASHED,
        "Pending for too long: the worker that picked the run ended before it had started it. Nothing was asked of any "
        "model. Is a worker up? Then start the run again.",
    ),
    Watch(
        "exemplars: a run that nobody is left to cancel is CANCELLED",
        "A run is cancelled by its worker; one whose worker is gone would be cancelling for ever.",
        StateType.CANCELLING,
        ("Cancelling",),
        ENDS,
        STUCK_SECONDS,
        StateType.CANCELLED,
        f"Cancelling for {STUCK_SECONDS} s: the worker of the run is gone, so it was ended here. {AGAIN}",
    ),
)


def list_watches(containers: bool) -> tuple[Watch, ...]:
    """The watches for runs that are processes of a worker, or that are containers and so take longer to start."""
    if not containers:
        return WATCHES
    return tuple(
        replace(watch, within_seconds=CONTAINER_SECONDS) if watch.state is StateType.PENDING else watch
        for watch in WATCHES
    )


def ensure_automation(client: SyncPrefectClient, wanted: AutomationCore) -> str:
    """Makes an automation, or puts it right where it differs: ``made``, ``changed`` or ``there``.

    One that is right is not touched: a change makes Prefect forget whom it watches.
    """
    found = _leave_one(client, wanted.name)
    if found is None:
        client.create_automation(wanted)
        # Somebody else may deploy at the same moment.
        _leave_one(client, wanted.name)
        return "made"
    # The ids of a trigger and the like are the server's own.
    if wanted == AutomationCore.model_validate(found.model_dump()):
        return "there"
    client.update_automation(found.id, wanted)
    return "changed"


def describe_automation(watch: Watch) -> AutomationCore:
    """A watch in Prefect's words. All of its fields are set: what is unset is left out of an update."""
    trigger = EventTrigger(
        type="event",
        posture=Posture.Proactive,
        match=ResourceSpecification.model_validate({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification.model_validate(
            {"prefect.resource.role": "flow", "prefect.resource.name": list(FLOW_NAMES)}
        ),
        after={watch.left_event, *(f"prefect.flow-run.{name}" for name in watch.begins)},
        expect={f"prefect.flow-run.{name}" for name in watch.expected},
        for_each={"prefect.resource.id"},
        threshold=1,
        within=timedelta(seconds=watch.within_seconds),
    )
    action = ChangeFlowRunState(type="change-flow-run-state", state=watch.outcome, message=watch.message)
    return AutomationCore(
        name=watch.name, description=watch.description, enabled=True, trigger=trigger, actions=[action]
    )


def _leave_one(client: SyncPrefectClient, name: str) -> Automation | None:
    """One automation of a name, whoever asks the same one; the others are deleted."""
    found = sorted(client.read_automations_by_name(name), key=lambda item: item.id)
    for double in found[1:]:
        with contextlib.suppress(ObjectNotFound):
            client.delete_automation(double.id)
    return found[0] if found else None
