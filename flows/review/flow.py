"""The flow ``review``: a person's word on a proposed set whose own run Prefect could not suspend."""

from contextlib import suppress
from typing import Any, Literal
from uuid import UUID

import httpx
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from engine.errors import ExemplarsError, GateError, ModelBusyError, RunInterruptedError
from engine.report.summary import RunResult
from engine.review.word import PersonReview
from engine.settings import read_settings
from engine.text.formatting import capitalise
from flows.observability.logs import ignore_closed_output
from flows.observability.run_outcome import observe_run
from flows.review.finish import finish_review, start_filling
from flows.review.waiting import find_reviewable
from flows.runs.expiry import end_suspended
from flows.runs.heartbeat import sending_heartbeats
from flows.runtime.resources import open_run_resources
from tasks.report import report_error


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
        why: A word of why, kept with the set.
        fill: Whether a run is started then that makes others in the places of these samples.
    """
    ignore_closed_output()
    word = PersonReview(decision == "attach", tuple(leave_out or ()), tuple(other_pole or ()), why, fill)
    settings = read_settings()
    handle = ""
    try:
        proposal = find_reviewable(settings, run_id)
        handle = proposal.handle
        async with (
            sending_heartbeats(),
            observe_run(handle, proposal.manifest["synth_type"], proposal.manifest["effort"]),
            open_run_resources(settings, get_run_logger()) as resources,
            resources.pruning_replies(),
            resources.hold_lease(handle, waits=True) as lease,
        ):
            result = await finish_review(proposal, word, lease, resources)
            # Its own run may be suspended still, where Prefect has no form for it.
            with suppress(ObjectNotFound, httpx.HTTPError, ValueError):
                end_suspended(resources.client, UUID(run_id), f"{capitalise(result.headline)}, by another run")
    except (ModelBusyError, RunInterruptedError) as error:
        return Cancelled(message=str(error))
    except GateError as error:
        return Failed(message=str(error).partition("\n")[0], data=error)
    except ExemplarsError as error:
        await report_error(str(flow_run.get_id()), handle or run_id, error)
        return Failed(message=str(error), data=error)
    if word.fill and word.attach:
        await start_filling(proposal)
    return Completed(message=capitalise(result.headline), data=result)
