"""Find unfinished runs on a Prefect server, and end them if their process is gone, or else watch them."""

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.schemas.events import Event, RelatedResource, Resource

from flows.deploy.automations import name_left_event
from flows.run.labels import AGAIN, LeaseLabels, read_lease_labels
from flows.run.lease.holders import free_lease, is_gone
from flows.run.run_events import name_resources

FLOW_NAMES = ("synthesize", "backfill", "prune", "review", "catalogue", "batches")
UNFINISHED = (StateType.RUNNING, StateType.PENDING, StateType.CANCELLING)
PAGE = 200
GONE = f"The process of this run is gone: it was killed, its worker was stopped, or its machine went down. {AGAIN}"


def end_gone_runs(client: SyncPrefectClient) -> tuple[int, list[FlowRun]]:
    """End this host's unfinished runs of dead processes; return their number and runs with an unknown process state."""
    ended, unknown = 0, []
    for run in _list_unfinished(client):
        labels = _find_lease_labels(run)
        gone = None if labels is None else is_gone(labels.process)
        if labels is None or gone is None:
            unknown.append(run)
        elif gone:
            free_lease(client, run.id, labels)
            # It may have ended by itself since it was listed.
            state = client.read_flow_run(run.id).state
            if state is not None and state.type in UNFINISHED:
                outcome = StateType.CANCELLED if state.type is StateType.CANCELLING else StateType.CRASHED
                client.set_flow_run_state(run.id, State(type=outcome, message=GONE), force=True)
            ended += 1
    return ended, unknown


def watch_run(client: SyncPrefectClient, run: FlowRun) -> None:
    """Make the automations watch a run that is older than they are, or was not watched while no server ran.

    A run that still works sends heartbeats, and is not ended.
    """
    assert run.state is not None
    resource, flow = name_resources(run, client.read_flow(run.flow_id).name)
    left = name_left_event(run.state.type)
    event = Event(event=left, resource=Resource(resource), related=[RelatedResource(flow)])
    client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()


def _find_lease_labels(run: FlowRun) -> LeaseLabels | None:
    """Return the labels of a run's present process; None while a restarted run still has the old labels."""
    labels, state = read_lease_labels(run.labels), run.state
    if labels is None or state is None or state.type is StateType.PENDING:
        return None
    return None if state.type is StateType.RUNNING and labels.leased_at < state.timestamp else labels


def _list_unfinished(client: SyncPrefectClient) -> list[FlowRun]:
    # All runs are listed before the first is ended, since an ended run shifts the later pages.
    runs: list[FlowRun] = []
    ours = FlowFilter.model_validate({"name": {"any_": FLOW_NAMES}})
    unfinished = FlowRunFilter.model_validate({"state": {"type": {"any_": UNFINISHED}}})
    while page := client.read_flow_runs(
        flow_filter=ours, flow_run_filter=unfinished, sort=FlowRunSort.ID_DESC, limit=PAGE, offset=len(runs)
    ):
        runs += page
    return runs
