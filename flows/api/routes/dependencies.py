"""Models as a request may see them: found by their handle, for the key that asks."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import BeforeValidator

from engine.definitions.loader import has_model, list_handles, load_outline
from engine.definitions.outline import Outline
from engine.domain.model import HANDLE_MAX_LENGTH, HANDLE_PATTERN, check_handle
from engine.errors import DefinitionError, HandleError, StoreError
from engine.settings import Settings
from flows.api.errors import ApiError
from flows.api.keys.key import Key
from flows.api.prefect_runs.client import Orchestrator
from flows.api.schemas import HANDLE_EXAMPLE


def check_digits(value: object) -> object:
    """A number is its digits: pydantic takes ``+1``, ``1.0`` and ``1_0`` for one, too.

    Raises:
        ValueError: a text that is none.
    """
    if isinstance(value, str) and not re.fullmatch("0|[1-9][0-9]{0,8}", value):
        raise ValueError("a whole number, in digits")
    return value


DIGITS = BeforeValidator(check_digits)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the door reads: the catalogue and the sample store."""

    models_uri: str
    samples_uri: str


def locate_place(settings: Settings) -> Place:
    """The folders or URIs of the settings."""
    return Place(settings.locate(settings.models_uri), settings.locate(settings.samples_uri))


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
    """The handle of a model that is there for the key of the request.

    Raises:
        ApiError: 422 malformed, 404 no such model or none that the key may read; both are the same answer.
    """
    try:
        check_handle(handle)
    except HandleError as error:
        raise ApiError(422, "invalid_handle", f"{error}.", {"handle": handle}) from None
    place, key = get_place(request), get_key(request)
    # Looked for before the key is, so that the time of the answer does not tell which of the two it is.
    is_there = has_model(place.models_uri, handle)
    if not is_there or not key.may_read(handle):
        raise ApiError(404, "model_not_found", f"There is no model {handle}.", {"handle": handle})
    return handle


# Nothing is read here: in a coroutine it costs no way through the pool of threads.
async def find_own_model(request: Request, handle: Annotated[str, Depends(find_model)]) -> str:
    """The handle of a model in a namespace that the key owns.

    Raises:
        ApiError: as ``find_model``; 403 where the key may only read what is public of it.
    """
    if not get_key(request).owns(handle):
        namespace = handle.partition(".")[0]
        raise ApiError(403, "forbidden", f"This key does not own the namespace {namespace}.", {"namespace": namespace})
    return handle


async def find_changeable_model(request: Request, handle: Annotated[str, Depends(find_model)]) -> str:
    """The handle of a model that the key may change.

    Raises:
        ApiError: as ``find_own_model``, and 403 for a key of the scope ``scoring``.
    """
    key = get_key(request)
    if key.scope != "authoring":
        raise ApiError(403, "forbidden", "This takes a key of the scope authoring.", {"scope": key.scope})
    return await find_own_model(request, handle)


def read_outline(models_uri: str, handle: str) -> Outline:
    """What a model's definition says; one that cannot be read says nothing, so that no listing fails for it."""
    try:
        return load_outline(models_uri, handle)
    except (DefinitionError, StoreError):
        return Outline(handle)


@contextmanager
def hide_samples(key: Key, handle: str) -> Iterator[None]:
    """Inside the block, what is wrong with a model is told with what was found only to who may list its samples."""
    try:
        yield
    except DefinitionError as error:
        if key.owns(handle):
            raise
        problems = [
            replace(problem, found="what is not shown to this key", suggestion=None) for problem in error.problems
        ]
        raise DefinitionError(handle, problems) from None


def list_readable(models_uri: str, key: Key, namespace: str) -> list[str]:
    """The handles of a namespace, sorted; none where the key may not read it."""
    return sorted(list_handles(models_uri, namespace)) if key.may_read(namespace) else []


def get_key(request: Request) -> Key:
    """The key that ``Authentication`` found."""
    key = request.state.key
    assert isinstance(key, Key)
    return key


def get_orchestrator(request: Request) -> Orchestrator:
    """Prefect, as the application reaches it while it runs."""
    orchestrator = request.app.state.orchestrator
    assert isinstance(orchestrator, Orchestrator)
    return orchestrator


def get_place(request: Request) -> Place:
    """The place that the application was made for."""
    place = request.app.state.place
    assert isinstance(place, Place)
    return place
