"""The three tools that the HTTP API has no operation for: a plan with its cost, a run, and a model's mistakes.

What they refuse a client reads as what the HTTP API refuses: the code, the message and the details.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import FastAPI
from fastmcp.exceptions import ValidationError
from pydantic import Field

from engine.authoring.validation import validate_models
from engine.definitions.lifecycle import check_draft
from engine.definitions.loader import list_handles
from engine.definitions.own_suites import read_model_suite
from engine.domain.model import Effort, OwnSuite, check_handle
from engine.domain.run_request import RunRequest
from engine.errors import (
    ExemplarsError,
    FrozenModelError,
    HandleError,
    InputError,
    NoSeedsError,
    NoTraitsError,
    OrchestratorError,
    ProviderError,
)
from engine.settings import Settings
from engine.store.layout import REPORT, VERDICT
from engine.store.store import find_set, read_document
from expectations.own_suites import check_own_suites
from flows.api.keys import Key
from flows.api.routes.model_status import hide_folders, make_operation
from flows.cli.plan import plan_run

Handle = Annotated[str, Field(description="The model's handle, `<namespace>.<name>`.")]
SynthType = Annotated[Literal["from_traits", "diversify"], Field(description="As of synthesize_samples.")]
ChosenEffort = Annotated[Effort | None, Field(description="As of synthesize_samples.")]
RunId = Annotated[
    str,
    Field(
        description="A UUID: synthesize_samples answers with it, and `last_operation` of a model has it.",
        pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    ),
]
# Of a plan, what a person looks at who changes a model.
LEFT_OUT = ("scenario_lists", "scenarios", "prompts")
# Of a run that Prefect does not know, such as one of a temporary server, its set tells what became of it.
STATUSES = {"attached": "succeeded", "detached": "succeeded", "rejected": "failed", "proposed": "running"}

# The first that fits. Whatever is no error of these kinds is wrong on our side, and the log has it.
CODES: Mapping[type[ExemplarsError], str] = {
    NoTraitsError: "no_traits",
    NoSeedsError: "no_seed_samples",
    FrozenModelError: "model_not_draft",
    HandleError: "invalid_handle",
    OrchestratorError: "orchestrator_unavailable",
    InputError: "invalid_request",
    ProviderError: "invalid_request",
}


class RefusedError(ValidationError):
    """A refusal: a code of the contract, a sentence, and details."""

    def __init__(self, code: str, message: str, details: object = None) -> None:
        told = f"\n{json.dumps(details, ensure_ascii=False)}" if details else ""
        # The HTTP API has its own line for it.
        super().__init__(f"{code}: {message}{told}", log_level=logging.DEBUG)


class MachineUser(Key):
    """This machine's own user, who may read and change every namespace, as with the commands."""

    __slots__ = ()

    def owns(self, handle: str) -> bool:
        """Always: no namespace is another's."""
        return True


@dataclass(frozen=True, slots=True)
class Identity:
    """``get_secret`` returns the secret of whoever asks now, ``find_key`` the key of a secret.

    ``rights`` is what a session may do, as a phrase.
    """

    find_key: Callable[[str], Key | None]
    get_secret: Callable[[], str]
    rights: str


@dataclass(frozen=True)
class OwnTools:
    """The tools, for whoever asks; ``app`` is the HTTP API's application."""

    settings: Settings
    identity: Identity
    app: FastAPI

    def plan_synthesis(
        self, handle: Handle, synth_type: SynthType = "from_traits", effort: ChosenEffort = None
    ) -> dict[str, Any]:
        """Tells what synthesize_samples with the same arguments would make and cost: the samples by trait and pole,
        the calls, tokens and cost in USD, likely and at most, and whether it would be refused. Asks no language model,
        writes nothing and costs nothing; it takes some seconds.
        """
        models_uri = self._check_owner(handle)
        with _refusing():
            check_draft(models_uri, handle, "Nothing was planned")
            planned = plan_run(self.settings, RunRequest(handle, synth_type, effort), prompts=0)
        return {name: value for name, value in asdict(planned).items() if name not in LEFT_OUT}

    def validate_model(self, handle: Handle) -> dict[str, Any]:
        """Checks the files that define a model and the samples that its author wrote, and lists the mistakes, each
        with file, line and what is allowed. The files themselves cannot be changed by these tools.
        """
        models_uri = self._check_owner(handle)

        def check_suites(handle: str) -> Sequence[OwnSuite]:
            check_own_suites(suites := read_model_suite(models_uri, handle))
            return suites

        [found] = validate_models(models_uri, [handle], check_suites)
        return {"valid": found.is_valid, **asdict(found)}

    async def get_run(self, run_id: RunId) -> dict[str, Any]:
        """Reads a run: its status (`queued`, `running`, `succeeded`, `failed`, `cancelled`) and progress, why it
        failed, and what became of its set of samples: `attached` to the model, `proposed` to a person who has to review
        it, `rejected`, or `detached` later; how many it has, why texts were rejected, and where its report is.
        """
        key, orchestrator = self._get_key(), self.app.state.orchestrator
        with _refusing():
            run = await orchestrator.find_run(run_id)
            progress = await orchestrator.read_progress([run_id]) if run and not run.over else {}
        stored = await to_thread.run_sync(find_set, self.settings.locate(self.settings.samples_uri), run_id)
        handle = stored.handle if stored else run.handle if run else None
        if handle is None or not key.owns(handle):
            raise RefusedError("not_found", f"There is no run {run_id}{key.own_place}.")
        told: dict[str, Any] = {"handle": handle, "run_id": run_id}
        if stored:
            verdict = await to_thread.run_sync(read_document, stored, VERDICT)
            told |= {"status": STATUSES.get(stored.status), "outcome": stored.status}
            told |= {name: stored.manifest.get(name) for name in ("synth_type", "effort", "counts")}
            told |= {name: verdict.get(name) for name in ("reasons", "failed", "warnings")}
        if run and (operation := make_operation(run, progress.get(run_id))):
            told |= {"synth_type": run.synth_type, "effort": run.effort, **operation.model_dump(exclude={"kind"})}
        if stored and REPORT in stored.manifest["files"]:
            address = f"{(self.settings.api_url or '').rstrip('/')}/v1/runs/{run_id}/report"
            told["report"] = stored.file(REPORT) if isinstance(key, MachineUser) else address
        return told

    def list_readable(self) -> list[str]:
        """The handles of all models that whoever asks may read."""
        key, handles = self._get_key(), list_handles(self.settings.locate(self.settings.models_uri))
        return [handle for handle in handles if key.may_read(handle)]

    def check_handle(self, handle: str) -> None:
        """Refuses a handle that is malformed, for whoever has a key."""
        self._get_key()
        with _refusing():
            check_handle(handle)

    def _get_key(self) -> Key:
        key = self.identity.find_key(self.identity.get_secret())
        if key is None:
            raise RefusedError("unauthorized", "The key of this session is not valid any more.")
        return key

    def _check_owner(self, handle: str) -> str:
        """Checks that whoever asks owns a model, and returns where the models are."""
        key = self._get_key()
        if handle not in self.list_readable():
            raise RefusedError("model_not_found", key.explain_missing(handle))
        if not key.owns(handle):
            raise RefusedError("forbidden", key.explain_foreign(handle))
        return self.settings.locate(self.settings.models_uri)


@contextmanager
def _refusing() -> Iterator[None]:
    """Refuses what the engine refuses inside the block."""
    try:
        yield
    except tuple(CODES) as error:
        code = next(code for kind, code in CODES.items() if isinstance(error, kind))
        raise RefusedError(code, f"{hide_folders(str(error)).rstrip('.')}.") from error
