"""The flow ``review``: a person's decision on a proposed set, given on the command line or over HTTP."""

from typing import Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State

from engine.domain.verdict import RunResult
from engine.review.settle import PersonReview
from engine.settings import read_settings
from flows.observability.logs import ignore_closed_output
from flows.review.finish import end_proposal
from flows.review.waiting import find_reviewable
from flows.run.outcome import end_in_state


@flow(name="review", flow_run_name="{decision} {run_id}", validate_parameters=False)
async def review(
    run_id: str,
    decision: Literal["attach", "reject"],
    leave_out: list[int] | None = None,
    other_pole: list[int] | None = None,
    why: str = "",
    fill: bool = False,
) -> RunResult | State[Any]:
    """Attaches or rejects a set that a run has proposed; the set keeps that run's id.

    Args:
        run_id: The run that proposed the set.
        decision: Attach what stands, or reject all of it.
        leave_out: The ids of samples to leave out. The report shows the ids.
        other_pole: The ids of samples that read as the other pole.
        why: The reason, kept with the set.
        fill: Whether a run is started that then fills the model up to the effort's number.
    """
    ignore_closed_output()
    decided = PersonReview(decision == "attach", tuple(leave_out or ()), tuple(other_pole or ()), why, fill)

    async def end() -> RunResult:
        return await end_proposal(find_reviewable(read_settings(), run_id), decided)

    return await end_in_state(run_id, end(), is_reviewer=True)
