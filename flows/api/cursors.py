"""Cursors of paged listings: opaque texts that say where the next page begins, valid only for their own listing."""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic.json_schema import SkipJsonSchema

from flows.api.errors import ApiError

NEXT = "`next_cursor` of the page before, with the same filters; left out for the first page."
Cursor = Annotated[
    str | SkipJsonSchema[None], Query(description=NEXT, json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"})
]
# Not a secret: it distinguishes cursors that we issued from made-up or truncated ones, and hides nothing.
_SEAL = b"exemplars cursor 1"
_SEAL_BYTES = 8


def write_cursor(listing: Sequence[str], place: Sequence[str | int]) -> str:
    """The cursor of a place in a listing; ``listing`` is the endpoint's name and the values of all its filters."""
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
