"""The work of ``exemplars review``: gives a person's word on a proposed set, and prints what came of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from engine.domain.verdict import RunResult
from engine.errors import OrchestratorError
from engine.review.word import check_ids
from engine.settings import Settings
from engine.store.layout import PROPOSED
from engine.store.proposals import read_rows
from engine.text.formatting import capitalise
from flows.review.waiting import find_reviewable
from flows.run.labels import SUSPENDED


def resume_run(settings: Settings, run_id: str, asked: Mapping[str, Any]) -> bool:
    """Has the run that is suspended for its proposal go on with a person's word; False where none is.

    Args:
        asked: the fields of ``flows.review.waiting.ReviewForm``.

    Raises:
        InputError: the run has no proposal that waits, or one without a sample that is named.
        OrchestratorError: Prefect's server cannot be asked, or does not resume the run. StoreError: as elsewhere.
    """
    stored = find_reviewable(settings, run_id)
    check_ids(run_id, [row["id"] for row in read_rows(stored, PROPOSED)], (*asked["leave_out"], *asked["other_pole"]))
    if not PREFECT_API_URL.value():
        return False
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(run_id)).state
            if state is None or state.name != SUSPENDED:
                return False
            answer = client.resume_flow_run(UUID(run_id), run_input=dict(asked))
    except (ObjectNotFound, ValueError):
        return False
    except httpx.HTTPError as error:
        raise OrchestratorError(
            f"Prefect's server at {PREFECT_API_URL.value()} cannot be asked for run {run_id}: "
            f"{error or type(error).__name__}. Nothing was changed"
        ) from error
    return answer.status.value == "ACCEPT"


def show_reviewed(run_id: str, result: RunResult | None, as_json: bool) -> None:
    """Prints what came of a review; ``result`` is None where the suspended run goes on by itself."""
    if result is None:
        said = {"run_id": run_id, "status": "resumed", "samples": None, "report": None}
        print(json.dumps(said) if as_json else f"Run {run_id} goes on: its page shows what comes of it")
        return
    if as_json:
        print(json.dumps({name: asdict(result)[name] for name in ("run_id", "status", "samples", "report")}))
        return
    print(capitalise(result.headline))
    if result.status not in ("rejected", "not_needed"):
        print(f"samples  {result.samples}")
    if result.report:
        print(f"report   {result.report}")
