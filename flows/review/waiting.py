"""Wait for a person's decision on a proposed set: the run is suspended, and restarts when somebody has decided."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import Abort, ObjectNotFound, Pause
from prefect.input import RunInput, keyset_from_paused_state
from prefect.runtime import flow_run
from prefect.states import Suspended
from prefect.utilities.engine import propose_state
from pydantic import Field, ValidationError

from engine.asking.existing_sets import list_outdated
from engine.definitions.loader import load_model
from engine.domain.finding import Finding
from engine.domain.model import Model
from engine.errors import InputError, ModelBusyError
from engine.review.apply import PersonReview
from engine.settings import Settings
from engine.store.existing import read_existing
from engine.store.layout import PROPOSED, REPORT
from engine.store.proposals import list_all, read_deadline
from engine.store.sample_set import read_manifest, read_own_count
from engine.store.store import StoredSet, get_set
from engine.text.formatting import count_noun


class ReviewForm(RunInput):
    """The form on the page of a suspended run."""

    # No default: a press of the button alone decides nothing.
    decision: Annotated[Literal["attach", "reject"], Field(description="Attach the remaining samples, or reject all.")]
    leave_out: Annotated[
        list[int],
        Field(default_factory=list, description="The ids of samples to leave out: the report shows the id of each."),
    ]
    other_pole: Annotated[
        list[int], Field(default_factory=list, description="The ids of samples that read as the other pole.")
    ]
    why: Annotated[str, Field(max_length=1000, description="The reason, kept with the set.")] = ""
    fill: Annotated[bool, Field(description="Start a run that then fills the model up to the effort's number.")] = False
    who: Annotated[str, Field(max_length=200, description="Your name, kept with the set.")] = ""

    def read(self) -> PersonReview:
        """Return the person's decision."""
        return PersonReview(
            self.decision == "attach", tuple(self.leave_out), tuple(self.other_pole), self.why, self.fill, self.who
        )


def ask_for_rest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run that generates the missing samples of a reviewed set."""
    params = {name: manifest[name] for name in ("handle", "synth_type", "effort")}
    return {**params, "per_pole": read_own_count(manifest), "only_lacking": True}


def check_waiting(proposal: StoredSet) -> None:
    """Check, once the lease is held, that the proposal still waits for this decision.

    Raises:
        ModelBusyError: while this run waited for the lease, the proposal was reviewed or its time ended.
    """
    manifest = read_manifest(proposal.folder)
    if manifest is None or manifest.get("status") != "proposed" or manifest["review"] != proposal.manifest["review"]:
        status = "gone" if manifest is None else manifest.get("status")
        raise ModelBusyError(
            f"The set of run {proposal.run_id} is now {status}: another run reviewed it, or its time ended, while "
            "this one waited. Nothing was changed",
            proposal.run_id,
        )


def find_reviewable(settings: Settings, run_id: str) -> StoredSet:
    """Return the proposal of a run that waits for a person's decision.

    Raises:
        InputError: the run has no proposal that still waits. StoreError: the store cannot be read.
    """
    stored = get_set(settings.samples_uri, run_id)
    if stored.status != "proposed":
        raise InputError(f"The set of run {run_id} is {stored.status}: it does not wait for a review")
    return stored


def load_new_sets(settings: Settings, proposal: StoredSet) -> Model:
    """Return the present model of a proposal, with all its stored samples except those that the proposal replaces.

    Raises:
        DefinitionError: the model cannot be read. StoreError: a set cannot be read.
    """
    model = load_model(settings.models_uri, proposal.handle)
    replaced = tuple(proposal.manifest.get("replaces", ()))
    existing = read_existing(settings.samples_uri, proposal.handle, settings.reviews_teach, replaced)
    return replace(model, existing=existing)


def warn_of_older(proposal: StoredSet, model: Model) -> list[Finding]:
    """Return a warning if a proposal was made for an older definition than the model's present one."""
    remedy = (
        "A proposal like this is better rejected: once attached, the next "
        f"'exemplars synthesize {model.handle} --refresh' replaces it"
    )
    return [
        Finding(
            "older_definition",
            "warning",
            f"The set of run {stored.run_id} was made for an older definition of {model.handle} than the present one",
            remedy,
        )
        for stored in list_outdated([proposal], model)
    ]


async def ask_person(settings: Settings, stored: StoredSet) -> PersonReview | None:
    """Return a person's decision on a proposal; suspend the run until there is one.

    Returns:
        None if Prefect does not suspend the run: it has no deployment, or is part of another run.

    Raises:
        prefect.exceptions.Pause: the run is suspended; its process has nothing more to do.
    """
    samples = count_noun(stored.manifest["files"][PROPOSED]["rows"], "sample")
    until = f"{read_deadline(stored):%Y-%m-%d %H:%M} UTC"
    read, where = f"Read them in the report: `{stored.file(REPORT)}`", ""
    if settings.api_url:
        page = f"{settings.api_url.rstrip('/')}/v1/runs/{stored.run_id}/review"
        read, where = f"[Read them, and decide on each]({page}): what you decide there counts here.", f", or at {page}"
    message = (
        f"{samples} wait for you until {until}. Read them under Artifacts, verdict{where}. Then press ⋮, Resume, and "
        "say in its form whether to attach them"
    )
    form = ReviewForm.with_initial_data(
        description=f"**{samples} of {stored.handle} wait for you**, until {until}; then they are rejected.\n\n{read}"
    )
    resumed = 0
    while True:
        try:
            return (await _suspend(form, f"review-{resumed}", message)).read()
        except Abort:
            return None
        except ValidationError:
            # If somebody sets a state, the run resumes without its form.
            get_run_logger().warning(
                "The run was resumed without a decision: nothing was changed, and its set still waits"
            )
            resumed += 1


async def _suspend(form: type[ReviewForm], key: str, message: str) -> ReviewForm:
    """Return the filled form of a suspension; like Prefect's ``suspend_flow_run``, but with a message on the state.

    Raises:
        prefect.exceptions.Pause: nobody has decided, and the run is suspended. Abort: it cannot be suspended.
        ValidationError: the run was resumed without the form.
    """
    state: State[None] = Suspended(pause_key=key, message=message)
    keyset = keyset_from_paused_state(state)
    state.state_details.run_input_keyset = {str(name): value for name, value in keyset.items()}
    async with get_client() as client:
        answer = await propose_state(client, state, flow_run_id=UUID(str(flow_run.get_id())))
    if answer.is_running():
        return await form.aload(keyset)
    if not answer.is_paused():
        raise Abort(f"Prefect answers {answer.name}")
    await form.asave(keyset)
    raise Pause(state=answer)


def end_suspended(client: SyncPrefectClient, run_id: str, ended: State[None]) -> None:
    """End the suspended run of a proposal that was decided on elsewhere. A run that Prefect does not know has ended; if
    Prefect does not answer, the run finds its proposal ended when it resumes.
    """
    with suppress(ObjectNotFound, httpx.HTTPError, ValueError):
        state = client.read_flow_run(UUID(run_id)).state
        if state is not None and state.type is StateType.PAUSED:
            client.set_flow_run_state(UUID(run_id), ended, force=True)


def ensure_single_proposal(settings: Settings, handle: str, run_id: str) -> None:
    """Check that no other proposal of the model waits.

    Raises:
        ModelBusyError: another one waits; the error names its run.
    """
    for stored in list_all(settings.samples_uri, handle, ["proposed"]):
        if stored.run_id != run_id:
            raise ModelBusyError(
                f"The set of run {stored.run_id} waits for a review, until {read_deadline(stored):%Y-%m-%d}: {handle} "
                f"has one at a time. Review that one first: 'exemplars review {stored.run_id} --attach' or 'exemplars "
                f"review {stored.run_id} --reject' ('exemplars prune' rejects it once its time is over). "
                "This run called no model",
                stored.run_id,
            )
