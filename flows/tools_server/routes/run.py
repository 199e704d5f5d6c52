"""The operation that tells how a run is getting on, and what came of it: from Prefect and from the sample store."""

from collections.abc import Mapping
from typing import Annotated, get_args

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool

from engine.settings import Settings
from engine.store.layout import REPORT
from engine.store.store import StoredSet, find_set, read_verdict
from flows.api.errors import ApiError
from flows.api.keys.key import Key
from flows.api.openapi.document import BY_PREFECT, describe_answers
from flows.api.routes.dependencies import get_key, get_orchestrator, get_storage, is_run_id
from flows.api.routes.model_status import make_operation
from flows.api.schemas import RUN_ID_EXAMPLE
from flows.run.flow_runs import Run, Status
from flows.tools_server.answers import Outcome, RunAnswer
from flows.tools_server.identity import MachineUser

router = APIRouter()
# Of a run that Prefect does not know, such as one of a temporary server, its set tells what became of it.
STATUS_OF: Mapping[str, Status] = {
    "attached": "succeeded",
    "detached": "succeeded",
    "rejected": "failed",
    "proposed": "running",
}


@router.get("/runs/{run_id}", responses=describe_answers(RunAnswer, (404, "not_found"), *BY_PREFECT))
async def read_run(
    request: Request,
    run_id: Annotated[
        str,
        Path(
            description="A run's id, as synthesize_samples and a model's `last_operation` have it.",
            examples=[RUN_ID_EXAMPLE],
            json_schema_extra={"format": "uuid"},
        ),
    ],
) -> RunAnswer:
    """A run with its status and, once it has left a set, the counts, the verdict and the report, for its owner."""
    run = stored = None
    if is_run_id(run_id):
        run = await get_orchestrator(request).find_run(run_id)
        stored = await run_in_threadpool(find_set, get_storage(request).samples_uri, run_id)
    handle = stored.handle if stored else run.handle if run else ""
    key = get_key(request)
    if not handle or not key.owns(handle):
        raise ApiError(404, "not_found", f"There is no run {run_id}.", {"run_id": run_id})
    is_under_way = run is not None and not run.over
    progress = await get_orchestrator(request).read_progress([run_id]) if is_under_way else {}
    settings = request.app.state.settings
    assert isinstance(settings, Settings)
    report = _locate_report(settings, key, stored) if stored else None
    return await run_in_threadpool(_make_answer, handle, run_id, run, stored, progress.get(run_id), report)


def _make_answer(
    handle: str, run_id: str, run: Run | None, stored: StoredSet | None, progress: float | None, report: str | None
) -> RunAnswer:
    manifest = stored.manifest if stored else {}
    verdict = read_verdict(stored) if stored else {}
    operation = make_operation(run, progress)
    outcome = _read_outcome(stored)
    status = operation.status if operation else STATUS_OF.get(outcome or "", "failed")
    synth_type = str(manifest.get("synth_type") or (run.synth_type if run else ""))
    return RunAnswer(
        run_id=run_id,
        handle=handle,
        synth_type=synth_type,
        effort=manifest.get("effort") or (run.effort if run else None),
        status=status,
        started_at=operation.started_at if operation else None,
        progress=operation.progress if operation else None,
        error=operation.error if operation else None,
        outcome=outcome,
        counts=manifest.get("counts"),
        rejected=verdict.get("reasons", {}),
        failed=verdict.get("failed", []),
        warnings=verdict.get("warnings", []),
        report=report,
        next=_say_next(status, outcome, synth_type),
    )


def _read_outcome(stored: StoredSet | None) -> Outcome | None:
    return next((outcome for outcome in get_args(Outcome) if stored and outcome == stored.status), None)


def _locate_report(settings: Settings, key: Key, stored: StoredSet) -> str | None:
    """The report's file for this machine's own user, else its address, or where that is not known its path, there."""
    if REPORT not in stored.manifest["files"]:
        return None
    if isinstance(key, MachineUser):
        return stored.file(REPORT)
    return f"{(settings.api_url or '').rstrip('/')}/v1/runs/{stored.run_id}/report"


def _say_next(status: Status, outcome: Outcome | None, synth_type: str) -> str:
    if outcome == "proposed":
        return "A person has to review the set before it is attached; until then nothing more happens."
    if status in ("queued", "running"):
        return "Ask again in 10 to 30 seconds, until the status is succeeded, failed or cancelled."
    if outcome == "attached" and synth_type == "enrich":
        return "The samples are held out for evaluation: no tool lists them."
    if outcome == "attached":
        return "list_samples lists the samples."
    if outcome == "detached":
        return "The set was taken off the model later: list_samples does not list its samples."
    if status == "failed":
        return (
            "Nothing was attached. Replies are kept: once the cause is mended, synthesize_samples goes on from there."
        )
    return "Nothing was attached."
