"""Dependencies of routes: the model of a request, checked against its key, and the cursor of a page."""

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
# Not a secret: it distinguishes cursors that we issued from invented or truncated ones, and hides nothing.
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
    """Return the handle of an existing model that the request's key may read.

    Raises:
        ApiError: 422 if the handle is malformed; 404 if there is no such model or the key may not read it, with the
            same answer.
    """
    try:
        check_handle(handle)
    except HandleError as error:
        raise ApiError(422, "invalid_handle", f"{error}.", {"handle": handle}) from None
    settings, key = get_settings(request), get_key(request)
    # The model is looked up even if the key may not read it, so that the response time does not reveal the case.
    exists = has_model(settings.models_uri, handle)
    if not exists or not key.may_read(handle):
        rights = f" that this key may read: it {key.rights}" if key.namespaces else ""
        raise ApiError(404, "model_not_found", f"There is no model {handle}{rights}.", {"handle": handle})
    return handle


# A coroutine saves the switch to a thread, and this function reads no file.
async def find_own_model(request: Request, handle: Annotated[str, Depends(find_model)]) -> str:
    """Return the handle of a model in a namespace that the key owns.

    Raises:
        ApiError: as for ``find_model``; 403 if the key does not own the namespace.
    """
    key, namespace = get_key(request), handle.partition(".")[0]
    if not key.owns(handle):
        message = f"This key does not own the namespace {namespace}: it {key.rights}."
        raise ApiError(403, "forbidden", message, {"namespace": namespace})
    return handle


async def find_changeable_model(request: Request, handle: Annotated[str, Depends(find_model)]) -> str:
    """Return the handle of a model that the key may change.

    Raises:
        ApiError: as for ``find_own_model``, and 403 for a key of the scope ``scoring``.
    """
    key = get_key(request)
    if key.scope != "authoring":
        raise ApiError(403, "forbidden", "This needs a key of the scope authoring.", {"scope": key.scope})
    return await find_own_model(request, handle)


def index_traits(outline: Outline) -> dict[str, str]:
    """Return the key of each trait by its key and by its name. If a name equals another trait's key, the key wins."""
    names = {trait.name: trait.key for trait in reversed(outline.traits)}
    return names | {trait.key: trait.key for trait in outline.traits}


def write_cursor(listing: Sequence[str], position: Sequence[str | int]) -> str:
    """Return an opaque cursor for a position in ``listing`` (the endpoint's name and the values of all its filters)."""
    content = json.dumps(list(position), separators=(",", ":")).encode()
    sealed = json.dumps(list(listing)).encode() + b"\0" + content
    seal = hashlib.blake2b(sealed, key=_SEAL, digest_size=_SEAL_BYTES).digest()
    return base64.urlsafe_b64encode(seal + content).decode().rstrip("=")


def read_cursor(listing: Sequence[str], cursor: str) -> list[Any]:
    """Return the position of a cursor in this listing.

    Raises:
        ApiError: 422, this listing did not issue the cursor.
    """
    try:
        position: list[Any] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[_SEAL_BYTES:])
        # Only with our seal does writing the position again give the same text.
        is_ours = isinstance(position, list) and write_cursor(listing, position) == cursor
    except (ValueError, RecursionError):
        is_ours = False
    if not is_ours:
        raise ApiError(422, "invalid_request", f"This cursor is not of this listing. Give {NEXT}", {"field": "cursor"})
    return position


def get_key(request: Request) -> Key:
    """Return the key that ``Guard`` put into the request's state."""
    key: Key = request.state.key
    return key


def get_orchestrator(request: Request) -> Orchestrator:
    """Return the orchestrator of the application, which holds the runs."""
    orchestrator: Orchestrator = request.app.state.orchestrator
    return orchestrator


def get_settings(request: Request) -> Settings:
    """Return the settings of the application."""
    settings: Settings = request.app.state.settings
    return settings
