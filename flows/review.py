"""The flow ``review``: a person's word on a proposed set whose own run Prefect could not suspend."""

from contextlib import suppress
from typing import Any, Literal
from uuid import UUID

import httpx
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Failed

from engine.errors import ExemplarsError, GateError, ModelBusyError, RunInterruptedError
from engine.report.summary import RunResult
from engine.run.taken_up import PersonReview
from engine.settings import read_settings
from engine.text.formatting import capitalise
from flows.observability.logs import ignore_closed_output
from flows.observability.run_outcome import observe_run
from flows.runs.expiry import end_suspended
from flows.runs.heartbeat import sending_heartbeats
from flows.runtime.resources import open_run_resources
from flows.runtime.review import find_reviewable
from flows.synthesize import finish_review, get_run_id
from tasks.report import report_error


@flow(name="review", flow_run_name="{decision} {run_id}", validate_parameters=False)
async def review(
    run_id: str,
    decision: Literal["attach", "reject"],
    leave_out: list[int] | None = None,
    other_pole: list[int] | None = None,
    why: str = "",
    propose_again: bool = False,
) -> RunResult | State[Any]:
    """Attaches or rejects a set that a run has proposed; the set keeps that run's id.

    Args:
        run_id: The run that proposed the set.
        decision: Attach what stands, or reject all of it.
        leave_out: The ids of samples to leave out; others are made in their places. The report shows the ids.
        other_pole: The ids of samples that read as the other pole.
        why: A word of why, kept with the set.
        propose_again: Whether the set is proposed once more when others have taken the places of these samples.
    """
    ignore_closed_output()
    word = PersonReview(decision == "attach", tuple(leave_out or ()), tuple(other_pole or ()), why, propose_again)
    settings = read_settings()
    handle = ""
    try:
        proposal = find_reviewable(settings, run_id)
        handle = proposal.handle
        async with (
            sending_heartbeats(),
            observe_run(handle, proposal.manifest["synth_type"], proposal.manifest["effort"]) as meter,
            open_run_resources(settings, get_run_logger()) as resources,
            resources.pruning_replies(),
            resources.hold_lease(handle, waits=True) as lease,
            resources.publish_progress(meter) as progress,
        ):
            result = await finish_review(proposal, word, lease, progress, resources)
            # Its own run may be suspended still, where Prefect has no form for it.
            with suppress(ObjectNotFound, httpx.HTTPError, ValueError):
                end_suspended(resources.client, UUID(run_id), f"{capitalise(result.headline)}, by another run")
    except (ModelBusyError, RunInterruptedError) as error:
        return Cancelled(message=str(error))
    except GateError as error:
        return Failed(message=str(error).partition("\n")[0], data=error)
    except ExemplarsError as error:
        await report_error(get_run_id(), handle or run_id, error)
        return Failed(message=str(error), data=error)
    return Completed(message=capitalise(result.headline), data=result)
