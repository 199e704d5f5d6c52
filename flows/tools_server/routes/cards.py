"""The operations behind the list of resources: the models, and the namespaces, that a key may read."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from engine.definitions.loader import list_handles
from flows.api.cursors import NEXT, write_cursor
from flows.api.keys.key import Key
from flows.api.openapi.document import describe_answers
from flows.api.routes.dependencies import get_key, get_storage, read_outline
from flows.api.routes.models import read_handle
from flows.tools_server.answers import Card, CardPage, Namespaces

router = APIRouter()
PAGE = 250
LISTING = ("cards",)


@router.get("/cards", responses=describe_answers(CardPage, (422, "invalid_request")))
def list_cards(request: Request, cursor: Annotated[str | None, Query(description=NEXT)] = None) -> CardPage:
    """The models of all namespaces that the key may read, in the order of their handles."""
    models_uri = get_storage(request).models_uri
    after = read_handle(LISTING, cursor) if cursor is not None else ""
    left = [handle for handle in list_readable(models_uri, get_key(request)) if handle > after]
    shown = [read_outline(models_uri, handle) for handle in left[:PAGE]]
    return CardPage(
        items=[Card(handle=outline.handle, description=outline.description or None) for outline in shown],
        next_cursor=write_cursor(LISTING, [shown[-1].handle]) if len(left) > PAGE else None,
    )


@router.get("/namespaces", responses=describe_answers(Namespaces))
def list_namespaces(request: Request) -> Namespaces:
    """The namespaces of those models."""
    handles = list_readable(get_storage(request).models_uri, get_key(request))
    return Namespaces(namespaces=list(dict.fromkeys(handle.partition(".")[0] for handle in handles)))


def list_readable(models_uri: str, key: Key) -> list[str]:
    """The handles of all models that a key may read, sorted."""
    return [handle for handle in sorted(list_handles(models_uri)) if key.may_read(handle)]
