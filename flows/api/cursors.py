"""Cursors: where a page begins, as a text that only the listing which gave it takes back."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from flows.api.errors import ApiError

Part = str | int

NEXT = "`next_cursor` of the page before, with the same filters; left out for the first page."
CURSOR_PATTERN = "^[A-Za-z0-9_-]+$"

# No secret: it tells what this surface gave out from what a client made up or cut off, and hides nothing.
_SEAL = b"exemplars cursor 1"
_SEAL_BYTES = 8


def write_cursor(listing: Sequence[str], place: Sequence[Part]) -> str:
    """The cursor of a place in a listing, which is named by its endpoint and all that it is narrowed by."""
    content = json.dumps(list(place), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_seal(listing, content) + content).decode().rstrip("=")


def read_cursor(listing: Sequence[str], cursor: str) -> list[Part]:
    """The place of a cursor that this listing gave.

    Raises:
        ApiError: 422, it did not.
    """
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place: list[Part] = json.loads(raw[_SEAL_BYTES:])
        # Written again it must be the same: base64 has letters whose last bits stand for nothing.
        is_ours = isinstance(place, list) and write_cursor(listing, place) == cursor
    except (binascii.Error, ValueError, RecursionError):
        is_ours = False
    if not is_ours:
        raise refuse_cursor()
    return place


def refuse_cursor() -> ApiError:
    """The refusal of a cursor that a listing did not give."""
    said = "This cursor was not given by this listing. Take `next_cursor` of the page before, with the same filters, "
    return ApiError(422, "invalid_request", f"{said}or leave it out for the first page.", {"field": "cursor"})


def _seal(listing: Sequence[str], content: bytes) -> bytes:
    named = json.dumps(list(listing)).encode()
    return hashlib.blake2b(named + b"\0" + content, key=_SEAL, digest_size=_SEAL_BYTES).digest()
