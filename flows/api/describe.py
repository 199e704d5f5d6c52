"""Describing: models with their state and last operation, for many at once in a few questions to Prefect."""

import asyncio
from collections.abc import Mapping, Sequence

from fastapi.concurrency import run_in_threadpool

from engine.definitions.lifecycle import Lifecycle, read_lifecycle
from engine.definitions.outline import Outline
from engine.errors import DefinitionError, StoreError
from flows.api.answers import ModelAnswer
from flows.api.models import Place, read_outline
from flows.api.prefect_runs.client import Orchestrator
from flows.api.state import tell_operation, tell_state
from flows.runs.flow_runs import Run, choose_operation


async def describe_models(orchestrator: Orchestrator, place: Place, handles: Sequence[str]) -> list[ModelAnswer]:
    """The models of some handles, in their order.

    Raises:
        OrchestratorError: Prefect does not answer.
    """
    live, files = await asyncio.gather(orchestrator.list_live(handles), run_in_threadpool(_read_files, place, handles))
    ended = await orchestrator.list_ended([handle for handle in handles if not live[handle]])
    shown = [choose_operation(live[handle], ended.get(handle, ())) for handle in handles]
    unfinished = [run.run_id for run in shown if run is not None and run.status != "succeeded"]
    progress = await orchestrator.read_progress(unfinished)
    return [
        _describe(outline, lifecycle, live[handle], ended.get(handle, ()), progress)
        for handle, (outline, lifecycle) in zip(handles, files, strict=True)
    ]


def _read_files(place: Place, handles: Sequence[str]) -> list[tuple[Outline, Lifecycle]]:
    return [(read_outline(place.models_uri, handle), _read_lifecycle(place.models_uri, handle)) for handle in handles]


def _read_lifecycle(models_uri: str, handle: str) -> Lifecycle:
    """A file that does not say where a model stands makes it a failed one: the whole listing must not fail for it."""
    try:
        return read_lifecycle(models_uri, handle)
    except (DefinitionError, StoreError):
        return Lifecycle("failed")


def _describe(
    outline: Outline,
    lifecycle: Lifecycle,
    live: Sequence[Run],
    ended: Sequence[Run],
    progress: Mapping[str, float],
) -> ModelAnswer:
    run = choose_operation(live, ended)
    return ModelAnswer(
        handle=outline.handle,
        scoring_method="balanced_cosine",
        description=outline.description or None,
        state=tell_state(lifecycle, live, ended),
        kind="scoring",
        traits=[trait.name for trait in outline.traits],
        current_version_id=lifecycle.version_id,
        version_no=lifecycle.version_no,
        version_tags=list(lifecycle.version_tags),
        zero_data_retention=False,
        last_operation=tell_operation(run, None if run is None else progress.get(run.run_id)),
    )
