"""What the routes read out of a request: its model, by the handle and checked against the key, and a page's cursor."""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from pydantic.json_schema import SkipJsonSchema

from engine.definitions.loader import has_model
from engine.definitions.outline import Outline
from engine.domain.model import HANDLE_MAX_LENGTH, HANDLE_PATTERN, check_handle
from engine.errors import HandleError
from engine.settings import Settings
from flows.api.errors import ApiError
from flows.api.keys import Key
from flows.api.orchestrator import Orchestrator
from flows.api.schemas import HANDLE_EXAMPLE

NEXT = "`next_cursor` of the page before, with the same filters; left out for the first page."
Cursor = Annotated[
    str | SkipJsonSchema[None], Query(description=NEXT, json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"})
]
# Not a secret: it distinguishes cursors that we issued from made-up or truncated ones, and hides nothing.
_SEAL = b"exemplars cursor 1"
_SEAL_BYTES = 8


def find_model(
    request: Request,
    handle: Annotated[
        str,
        Path(
            description="The model's handle, `<namespace>.<name>`.",
            examples=[HANDLE_EXAMPLE],
            json_schema_extra={"pattern": HANDLE_PATTERN, "maxLength": HANDLE_MAX_LENGTH},
        ),
    ],
) -> str:
    """The handle of a model that exists and that the request's key may read.

    Raises:
        ApiError: 422 if the handle is malformed; 404 if there is no such model or the key may not read it, which
            answer alike.
    """
    try:
        check_handle(handle)
    except HandleError as error:
        raise ApiError(422, "invalid_handle", f"{error}.", {"handle": handle}) from None
    settings, key = get_settings(request), get_key(request)
    # The model is looked up even if the key may not read it, so that the response time does not reveal which it is.
    is_there = has_model(settings.models_uri, handle)
    if not is_there or not key.may_read(handle):
        where = f" that this key may read: it {key.rights}" if key.namespaces else ""
        raise ApiError(404, "model_not_found", f"There is no model {handle}{where}.", {"handle": handle})
    return handle


# It reads no file, so it is a coroutine: that saves the switch to a thread.
async def find_own_model(request: Request, handle: Annotated[str, Depends(find_model)]) -> str:
    """The handle of a model in a namespace that the key owns.

    Raises:
        ApiError: as ``find_model``; 403 if the key does not own the namespace.
    """
    key, namespace = get_key(request), handle.partition(".")[0]
    if not key.owns(handle):
        said = f"This key does not own the namespace {namespace}: it {key.rights}."
        raise ApiError(403, "forbidden", said, {"namespace": namespace})
    return handle


async def find_changeable_model(request: Request, handle: Annotated[str, Depends(find_model)]) -> str:
    """The handle of a model that the key may change.

    Raises:
        ApiError: as ``find_own_model``, and 403 for a key of the scope ``scoring``.
    """
    key = get_key(request)
    if key.scope != "authoring":
        raise ApiError(403, "forbidden", "This needs a key of the scope authoring.", {"scope": key.scope})
    return await find_own_model(request, handle)


def index_traits(outline: Outline) -> dict[str, str]:
    """The key of each trait by all that it may be called: its key, and its name where no key is the same."""
    names = {trait.name: trait.key for trait in reversed(outline.traits)}
    return names | {trait.key: trait.key for trait in outline.traits}


def write_cursor(listing: Sequence[str], place: Sequence[str | int]) -> str:
    """The cursor, an opaque text, of a place in a listing: the endpoint's name and the values of all its filters."""
    content = json.dumps(list(place), separators=(",", ":")).encode()
    sealed = json.dumps(list(listing)).encode() + b"\0" + content
    seal = hashlib.blake2b(sealed, key=_SEAL, digest_size=_SEAL_BYTES).digest()
    return base64.urlsafe_b64encode(seal + content).decode().rstrip("=")


def read_cursor(listing: Sequence[str], cursor: str) -> list[Any]:
    """The place that a cursor of this listing stands for.

    Raises:
        ApiError: 422, if this listing did not issue the cursor.
    """
    try:
        place: list[Any] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[_SEAL_BYTES:])
        # What is written again is the same text only if the seal is ours.
        is_ours = isinstance(place, list) and write_cursor(listing, place) == cursor
    except (ValueError, RecursionError):
        is_ours = False
    if not is_ours:
        raise ApiError(422, "invalid_request", f"This cursor is not of this listing. Give {NEXT}", {"field": "cursor"})
    return place


def get_key(request: Request) -> Key:
    """The key that ``Guard`` put into the request's state."""
    key: Key = request.state.key
    return key


def get_orchestrator(request: Request) -> Orchestrator:
    """Whoever the application asks about runs."""
    orchestrator: Orchestrator = request.app.state.orchestrator
    return orchestrator


def get_settings(request: Request) -> Settings:
    """The settings that the application was made for."""
    settings: Settings = request.app.state.settings
    return settings
