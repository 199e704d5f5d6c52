"""State: what a model is doing, from its runs in Prefect and its lifecycle file alone."""

import re
from collections.abc import Sequence

from engine.definitions.lifecycle import Lifecycle
from flows.api.answers import Operation, State
from flows.runs.flow_runs import Run, choose_operation
from flows.runs.labels import KEPT

# The folders of an absolute path; what follows a host in a URL is none.
_PATH = re.compile(r"(?<![\w:/.])/(?:[^\s/:'\"]+/)+")
# How Prefect begins the message of a run that raised: the class of the error stands between.
RAISED = "Flow run encountered an exception: "


def tell_state(lifecycle: Lifecycle, live: Sequence[Run], ended: Sequence[Run]) -> State:
    """Busy while a run is live, else as the lifecycle file says; failed is a draft whose last run did not complete."""
    if live:
        return "busy"
    if lifecycle.state != "draft":
        return lifecycle.state
    last = choose_operation((), ended)
    return "failed" if last is not None and last.status == "failed" else "draft"


def tell_operation(run: Run | None, progress: float | None) -> Operation | None:
    """The ``last_operation`` that a run is; ``progress`` is what the run has published."""
    if run is None:
        return None
    return Operation(
        kind="synthesize",
        run_id=run.run_id,
        status=run.status,
        started_at=run.started_at,
        progress=_tell_progress(run, progress),
        error=_tell_error(run) if run.status in ("failed", "cancelled") else None,
    )


def _tell_progress(run: Run, published: float | None) -> float | None:
    if run.status == "succeeded":
        return 1.0
    return 0.0 if published is None and run.status in ("queued", "running") else published


def _tell_error(run: Run) -> str:
    """The run's own words, without Prefect's and without the paths of this machine."""
    said = run.message
    if said.startswith(RAISED):
        said = said.removeprefix(RAISED).partition(": ")[2]
    lines = [_PATH.sub("…/", line.strip()) for line in said.splitlines() if KEPT not in line]
    return "\n".join(lines).strip() or f"The run ended as {run.status}."
