"""Three tools without an operation in the HTTP API: a plan with its cost, a run, and a model's mistakes.

As routes, they treat keys and refusals like the HTTP API; only the tools' application has them.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Query, Request

from engine.authoring.validation import validate_models
from engine.definitions.lifecycle import check_draft
from engine.definitions.loader import list_handles
from engine.definitions.own_suites import read_model_suite
from engine.domain.model import Effort, OwnSuite
from engine.domain.run_request import RunRequest
from engine.errors import InputError, ProviderError
from engine.store.layout import REPORT, VERDICT
from engine.store.store import find_set, read_document
from expectations.own_suites import check_own_suites
from flows.api.errors import ApiError, translate_error
from flows.api.keys import Key
from flows.api.routes.dependencies import find_own_model, get_key, get_orchestrator, get_settings
from flows.api.routes.model_status import hide_folders, make_operation
from flows.cli.plan import plan_run

router = APIRouter()
Handle = Annotated[str, Depends(find_own_model)]
SynthType = Annotated[Literal["from_traits", "diversify"], Query(description="As in synthesize_samples.")]
ChosenEffort = Annotated[Effort | None, Query(description="As in synthesize_samples.")]
RunId = Annotated[
    str,
    Path(
        description="A UUID: synthesize_samples answers with it, and `last_operation` of a model has it.",
        pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    ),
]
# Fields of a plan that only a person who edits the model needs.
LEFT_OUT = ("scenario_lists", "scenarios", "prompts")
# Status of a run by the status of its set, for a run that Prefect does not know, such as one of a temporary server.
STATUSES = {"attached": "succeeded", "detached": "succeeded", "rejected": "failed", "proposed": "running"}


class MachineUser(Key):
    """User of this machine, who may read and change every namespace, as with the commands."""

    __slots__ = ()

    def owns(self, handle: str) -> bool:
        """Return True: this user owns every namespace."""
        return True


@router.get("/models/{handle}/plan")
def plan_synthesis(
    request: Request, handle: Handle, synth_type: SynthType = "from_traits", effort: ChosenEffort = None
) -> dict[str, Any]:
    """Estimate what synthesize_samples with the same arguments would make and cost: the samples by trait and pole,
    the calls, tokens and cost in USD, likely and at most, and whether it would be refused. It calls no language
    model, writes nothing and costs nothing; it takes some seconds.
    """
    try:
        check_draft(get_settings(request).models_uri, handle, "Nothing was planned")
        plan = plan_run(get_settings(request), RunRequest(handle, synth_type, effort), prompts=0)
    except (InputError, ProviderError) as error:
        refused = translate_error(error)
        # The HTTP API leaves some mistakes to the run. Here they are not internal, and may name local files.
        invalid = ApiError(422, "invalid_request", "")
        refusal = invalid if refused.code == "internal_error" else refused
        raise ApiError(refusal.status, refusal.code, f"{hide_folders(str(error)).rstrip('.')}.") from error
    return {name: value for name, value in asdict(plan).items() if name not in LEFT_OUT}


@router.get("/models/{handle}/mistakes")
def validate_model(request: Request, handle: Handle) -> dict[str, Any]:
    """Check the files of a model's definition and its authored samples, and list the mistakes, each with file,
    line and the allowed values. These tools cannot change the files.
    """
    models_uri = get_settings(request).models_uri

    def check_suites(handle: str) -> Sequence[OwnSuite]:
        check_own_suites(suites := read_model_suite(models_uri, handle))
        return suites

    [result] = validate_models(models_uri, [handle], check_suites)
    return {"valid": result.is_valid, **asdict(result)}


@router.get("/runs/{run_id}")
async def get_run(request: Request, run_id: RunId) -> dict[str, Any]:
    """Read a run: its status (`queued`, `running`, `succeeded`, `failed`, `cancelled`), its progress, the reason of
    a failure, and the outcome of its set of samples: `attached` to the model, `proposed` to a person who has to
    review it, `rejected`, or `detached` later; the number of samples, why texts were rejected, and where its report is.
    """
    key, orchestrator = get_key(request), get_orchestrator(request)
    run = await orchestrator.find_run(run_id)
    progress = await orchestrator.read_progress([run_id]) if run and not run.over else {}
    stored = await to_thread.run_sync(find_set, get_settings(request).samples_uri, run_id)
    handle = stored.handle if stored else run.handle if run else None
    if handle is None or not key.owns(handle):
        raise ApiError(404, "not_found", f"There is no run {run_id}{key.own_place}.")
    answer: dict[str, Any] = {"handle": handle, "run_id": run_id}
    if stored:
        verdict = await to_thread.run_sync(read_document, stored, VERDICT)
        answer |= {"status": STATUSES.get(stored.status), "outcome": stored.status}
        answer |= {name: stored.manifest.get(name) for name in ("synth_type", "effort", "counts")}
        answer |= {name: verdict.get(name) for name in ("reasons", "failed", "findings")}
    if run and (operation := make_operation(run, progress.get(run_id))):
        answer |= {"synth_type": run.synth_type, "effort": run.effort, **operation.model_dump(exclude={"kind"})}
    if stored and REPORT in stored.manifest["files"]:
        address = f"{(get_settings(request).api_url or '').rstrip('/')}/v1/runs/{run_id}/report"
        answer["report"] = stored.file(REPORT) if isinstance(key, MachineUser) else address
    return answer


@router.get("/handles")
def list_readable(request: Request) -> list[str]:
    """Return the handles of all models that the key may read. Not a tool: the server adds them to other answers."""
    key = get_key(request)
    return [handle for handle in list_handles(get_settings(request).models_uri) if key.may_read(handle)]
