"""The automations on Prefect's server that end runs whose process is gone; the deploy step sets them up."""

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from flows.runs.heartbeat import HEARTBEAT_SECONDS
from flows.runs.labels import AGAIN

FLOW_NAMES = ("synthesize", "backfill", "prune")
# Three heartbeats. Prefect checks every 5 s, so a run is CRASHED within the two minutes that issue 5 asks for.
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
STUCK_SECONDS = 120
# For runs in containers, which may have to pull an image of 2 GB first.
CONTAINER_SECONDS = 900
ENDS = ("Completed", "Failed", "Crashed", "Cancelled")
WAITS = ("Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Paused", "Suspended")


@dataclass(frozen=True, slots=True)
class Watch:
    """A run that enters ``state`` and then emits no ``expected`` event ``within_seconds`` is set to ``outcome``."""

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
        """The event that the deploy step emits for a run that it finds in this state, so that it is watched too."""
        return f"exemplars.flow-run.left-{self.state.value.lower()}"


WATCHES = (
    Watch(
        "exemplars: a run whose heartbeats stop is CRASHED",
        f"A run sends a heartbeat every {HEARTBEAT_SECONDS} s. If its process and its worker end together, nothing "
        "else reports that the run is over.",
        StateType.RUNNING,
        ("Running", "Retrying", "heartbeat"),
        ("heartbeat", "Cancelling", "Pending", *ENDS, *WAITS),
        SILENCE_SECONDS,
        StateType.CRASHED,
        f"No heartbeat for {SILENCE_SECONDS} s: the run's process is gone, or its machine is. {AGAIN}",
    ),
    Watch(
        "exemplars: a run that never starts is CRASHED",
        "A worker that takes a run and ends before it has started it leaves the run pending.",
        StateType.PENDING,
        ("Pending", "Submitting", "InfrastructurePending"),
        ("Submitting", "InfrastructurePending", "Running", "Retrying", "Cancelling", *ENDS, *WAITS),
        STUCK_SECONDS,
        StateType.CRASHED,
        "Pending for too long: the worker that took the run ended before it had started it. No model was called. Check "
        "that a worker runs, then start the run again.",
    ),
    Watch(
        "exemplars: a run that nobody is left to cancel is CANCELLED",
        "A run is cancelled by its worker; without its worker it would be cancelling for ever.",
        StateType.CANCELLING,
        ("Cancelling",),
        ENDS,
        STUCK_SECONDS,
        StateType.CANCELLED,
        f"Cancelling for {STUCK_SECONDS} s: the worker of the run is gone, so it was ended here. {AGAIN}",
    ),
)


def list_watches(containers: bool) -> tuple[Watch, ...]:
    """The watches for runs that are processes of a worker or, with ``containers``, containers that start slower."""
    if not containers:
        return WATCHES
    return tuple(
        replace(watch, within_seconds=CONTAINER_SECONDS) if watch.state is StateType.PENDING else watch
        for watch in WATCHES
    )


def ensure_automation(client: SyncPrefectClient, wanted: AutomationCore) -> str:
    """Makes an automation, or updates it if it differs, and returns ``made``, ``changed`` or ``there``.

    One that does not differ is not touched, since an update makes Prefect forget which runs it watches.
    """
    found = _delete_duplicates(client, wanted.name)
    if found is None:
        client.create_automation(wanted)
        # Another deploy may run at the same moment.
        _delete_duplicates(client, wanted.name)
        return "made"
    # The ids of a trigger and the like are the server's own.
    if wanted == AutomationCore.model_validate(found.model_dump()):
        return "there"
    client.update_automation(found.id, wanted)
    return "changed"


def describe_automation(watch: Watch) -> AutomationCore:
    """The Prefect automation of a watch. It sets every field, because an update leaves out unset ones."""
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


def _delete_duplicates(client: SyncPrefectClient, name: str) -> Automation | None:
    """The automation of a name, the same one for every caller; duplicates are deleted."""
    found = sorted(client.read_automations_by_name(name), key=lambda item: item.id)
    for double in found[1:]:
        with contextlib.suppress(ObjectNotFound):
            client.delete_automation(double.id)
    return found[0] if found else None
