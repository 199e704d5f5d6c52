"""Describe many models at once: state and last operation, from Prefect's runs and the lifecycle file."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from fastapi.concurrency import run_in_threadpool

from engine.definitions.lifecycle import Lifecycle, read_lifecycle
from engine.definitions.loader import load_outline
from engine.definitions.outline import Outline
from engine.domain.model import State
from engine.errors import DefinitionError, StoreError
from engine.settings import Settings
from flows.api.orchestrator import Orchestrator
from flows.api.schemas import ModelAnswer, Operation
from flows.run.flow_runs import Run, choose_operation
from flows.run.labels import KEPT, RAISED

# The folders of an absolute path; the path of a URL does not match.
_PATH = re.compile(r"(?<![\w:/.])/(?:[^\s/:'\"]+/)+")


async def describe_models(orchestrator: Orchestrator, settings: Settings, handles: Sequence[str]) -> list[ModelAnswer]:
    """Return the responses for several models, in the order of the handles.

    Raises:
        OrchestratorError: Prefect's server does not answer.
    """
    live = await orchestrator.list_live(handles)
    ended = await orchestrator.list_ended([handle for handle in handles if not live[handle]])
    shown = [choose_operation(live[handle], ended.get(handle, ())) for handle in handles]
    unfinished = [run.run_id for run in shown if run is not None and run.status != "succeeded"]
    progress = await orchestrator.read_progress(unfinished)
    pairs = zip(handles, shown, strict=True)
    return await run_in_threadpool(
        lambda: [_describe(settings.models_uri, handle, bool(live[handle]), run, progress) for handle, run in pairs]
    )


def derive_state(lifecycle: Lifecycle, is_live: bool, run: Run | None) -> State:
    """Return ``busy`` during a live run, ``failed`` for a draft after a failed run, else the lifecycle file's state."""
    if is_live:
        return "busy"
    has_failed = lifecycle.state == "draft" and run is not None and run.status == "failed"
    return "failed" if has_failed else lifecycle.state


def make_operation(run: Run | None, progress: float | None) -> Operation | None:
    """Return the ``last_operation`` of a run, None without a run; ``progress``, in [0, 1], is the published one."""
    if run is None:
        return None
    if run.status == "succeeded":
        progress = 1.0
    elif progress is None and run.status in ("queued", "running"):
        progress = 0.0
    return Operation(
        run_id=run.run_id,
        status=run.status,
        started_at=run.started_at,
        progress=progress,
        error=_make_error_message(run) if run.status in ("failed", "cancelled") else None,
    )


def hide_folders(text: str) -> str:
    """Return the text without the folders of this machine; file names stay."""
    return _PATH.sub("…/", text)


def _describe(
    models_uri: str, handle: str, is_live: bool, run: Run | None, progress: Mapping[str, float]
) -> ModelAnswer:
    # An unreadable file of one model must not fail the listing.
    outline, lifecycle = Outline(handle), Lifecycle("failed")
    with suppress(DefinitionError, StoreError):
        outline = load_outline(models_uri, handle)
    with suppress(DefinitionError, StoreError):
        lifecycle = read_lifecycle(models_uri, handle)
    return ModelAnswer(
        handle=handle,
        description=outline.description or None,
        state=derive_state(lifecycle, is_live, run),
        traits=[trait.name for trait in outline.traits],
        current_version_id=lifecycle.version_id,
        version_no=lifecycle.version_no,
        version_tags=list(lifecycle.version_tags),
        last_operation=make_operation(run, None if run is None else progress.get(run.run_id)),
    )


def _make_error_message(run: Run) -> str:
    """Return the run's error message, without Prefect's prefix and without paths of this machine."""
    message = run.message
    if message.startswith(RAISED):
        message = message.removeprefix(RAISED).partition(": ")[2]
    lines = [hide_folders(line.strip()) for line in message.splitlines() if KEPT not in line]
    return "\n".join(lines).strip() or f"The run ended as {run.status}."
