"""The HTTP routes of the page where a model's owner reviews a proposed set, and of the requests that it sends."""

from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from prefect.utilities.urls import url_for
from pydantic import Field

from engine.errors import InputError
from engine.review.correct import MAX_CHARACTERS, explain_rejection
from engine.review.page import render_ended, render_review_page
from engine.settings import Settings
from engine.store.layout import PROPOSED
from engine.store.proposals import DecisionKind, keep_decision, read_rows
from engine.store.store import StoredSet, find_set
from flows.api.errors import ApiError
from flows.api.refusals import BY_PREFECT, describe_answers
from flows.api.routes.body import Body, describe_body, read_body
from flows.api.routes.dependencies import get_key, get_orchestrator, get_settings
from flows.api.schemas import RUN_ID_EXAMPLE, SAMPLE_ID_EXAMPLE, Answer
from flows.review.waiting import load_new_sets

router = APIRouter(tags=["Review"])
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
RunId = Annotated[UUID, Path(description="The run that proposed the set.", examples=[RUN_ID_EXAMPLE])]


class DecisionBody(Body):
    """A person's decision on one sample; the latest decision counts."""

    # The page sends ids as strings.
    sample_id: int = Field(strict=False, ge=0, lt=2**53, description="The sample's id.", examples=[SAMPLE_ID_EXAMPLE])
    said: DecisionKind = Field(
        description="`correct` accepts the sample with another `text`; `undecided` takes an earlier decision back, "
        "a correction too.",
        examples=["refuse"],
    )
    text: str = Field("", max_length=MAX_CHARACTERS, description="With `correct`: the text that is attached instead.")


class DecisionAnswer(Answer):
    """A stored decision on a sample."""

    sample_id: int = Field(description="The sample's id.", examples=[SAMPLE_ID_EXAMPLE])
    said: DecisionKind = Field(description="The decision that counts now.", examples=["refuse"])


class ReviewBody(Body):
    """A person's decision on the whole set; the stored decisions on single samples are applied too."""

    decision: Literal["attach", "reject"] = Field(description="Attach the remaining samples, or reject the whole set.")
    why: str = Field("", max_length=1000, description="The reason, kept with the set.")
    fill: bool = Field(False, description="Start a run that then fills the model up to the effort's number.")


class ReviewAnswer(Answer):
    """The answer when a run was started that attaches or rejects a proposed set."""

    state: Literal["enqueued"] = Field(description="A run finishes the set.")
    run_id: str = Field(description="The id of the Prefect flow run that finishes the set.", examples=[RUN_ID_EXAMPLE])
    message: str = Field(description="The same as a sentence for a person.")


@router.get(
    "/runs/{run_id}/review",
    response_class=Response,
    responses=describe_answers((404, "not_found"), (422, "invalid_request"), about="The page.", media_type="text/html"),
    summary="Review a proposed set in a browser",
)
def read_review(request: Request, run_id: RunId) -> Response:
    """Return the review page of a proposed set, for a key that owns the model's namespace; once the review has ended, a
    page that shows who ended it, when and how.

    In a browser, enter the key as the password of its dialog, with any user name.
    """
    stored = find_set(get_settings(request).samples_uri, str(run_id))
    if stored and "when" in stored.manifest.get("review", {}) and get_key(request).owns(stored.handle):
        page = render_ended(stored)
    else:
        page = render_review_page(_find_proposal(request, run_id), url_for("flow-run", obj_id=run_id))
    return Response(page, media_type="text/html", headers=PAGE_HEADERS)


@router.post(
    "/runs/{run_id}/review/decisions",
    operation_id="decide_on_sample",
    responses=describe_answers(
        (403, "forbidden"),
        (404, "not_found"),
        (404, "sample_not_found"),
        (409, "model_busy"),
        (422, "invalid_request"),
        about="The decision is stored.",
    ),
    openapi_extra=describe_body(DecisionBody),
    summary="Decide on one sample",
)
async def decide(request: Request, run_id: RunId) -> DecisionAnswer:
    """Store a decision on one sample of a proposed set at once.

    The rules that call no model check a corrected text, also against all other texts of the set; a text that breaks a
    rule is refused (422), and the sample stays as it was. The author's own rules are checked when the set is attached.

    A browser sends its key by itself, so its request needs an `Origin` of this service.
    """
    stored = await run_in_threadpool(_find_changeable, request, run_id)
    body = await read_body(request, DecisionBody)
    return await run_in_threadpool(_keep, get_settings(request), stored, body, get_key(request).id)


@router.post(
    "/runs/{run_id}/review",
    operation_id="finish_review",
    status_code=202,
    responses=describe_answers(
        (403, "forbidden"),
        (404, "not_found"),
        (422, "invalid_request"),
        *BY_PREFECT,
        success=202,
        about="A run finishes the set.",
    ),
    openapi_extra=describe_body(ReviewBody),
    summary="Attach or reject a proposed set",
)
async def finish(request: Request, run_id: RunId) -> ReviewAnswer:
    """Start a run of `review/on-demand` that finishes the set, instead of the run that proposed it.

    Samples without a decision are attached.
    """
    await run_in_threadpool(_find_changeable, request, run_id)
    body = await read_body(request, ReviewBody)
    # The run that finishes the set reads the decisions on single samples itself.
    params = {name: getattr(body, name) for name in ReviewBody.model_fields}
    params |= {"run_id": str(run_id), "leave_out": [], "other_pole": [], "who": get_key(request).name}
    new_id = await get_orchestrator(request).create_review(params)
    return ReviewAnswer(
        state="enqueued", run_id=new_id, message=f"Run {new_id} finishes the set: its page shows the result."
    )


def _keep(settings: Settings, stored: StoredSet, body: DecisionBody, who: str) -> DecisionAnswer:
    if body.sample_id not in {row["id"] for row in read_rows(stored, PROPOSED)}:
        message = f"The proposal of run {stored.run_id} has no sample {body.sample_id}."
        raise ApiError(404, "sample_not_found", message, {"sample_id": body.sample_id})
    text = body.text.strip() if body.said == "correct" else ""
    if body.said == "correct":
        model = load_new_sets(settings, stored)
        if why := explain_rejection(model, stored, body.sample_id, text):
            raise ApiError(422, "invalid_request", f"{why}.", {"field": "text", "sample_id": body.sample_id})
    try:
        kept = keep_decision(stored, body.sample_id, body.said, who, text)
    except InputError as error:
        raise ApiError(409, "model_busy", f"{error}.", {"run_id": stored.run_id}) from None
    return DecisionAnswer(sample_id=kept.sample_id, said=kept.said)


def _find_proposal(request: Request, run_id: UUID) -> StoredSet:
    """Return the proposal of a run, for a key that owns the model's namespace.

    Raises:
        ApiError: 404, with the same answer, if no proposal waits or the key may not see it.
    """
    stored, key = find_set(get_settings(request).samples_uri, str(run_id)), get_key(request)
    if stored is None or stored.status != "proposed" or not key.owns(stored.handle):
        message = f"No set of run {run_id} waits for a review{key.own_place}."
        raise ApiError(404, "not_found", message, {"run_id": str(run_id)})
    return stored


def _find_changeable(request: Request, run_id: UUID) -> StoredSet:
    """Return the proposal, for a key that may change the model, unless another site sent the request.

    Raises:
        ApiError: as ``_find_proposal``; 403 for a key of the scope ``scoring`` or a foreign ``Origin``.
    """
    origin = request.headers.get("origin")
    is_basic = request.headers.get("authorization", "").lower().startswith("basic")
    # Compares only the authority: a proxy may end TLS. A page of another site cannot set these headers.
    is_same_site = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if (is_basic or origin is not None) and not is_same_site:
        message = "A browser's request needs an Origin of this service. Send the key as 'Authorization: Bearer <key>'."
        raise ApiError(403, "forbidden", message, {"origin": origin})
    stored = _find_proposal(request, run_id)
    key = get_key(request)
    if key.scope != "authoring":
        raise ApiError(403, "forbidden", "This needs a key of the scope authoring.", {"scope": key.scope})
    return stored
