"""Cursors: what a listing gave it takes back, and nothing else."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.api.errors import ApiError
from flows.api.routes.dependencies import read_cursor, write_cursor

LISTING = ("samples", "u22a8.toolshed", "clarity")
PARTS = st.lists(st.integers(0, 2**63) | st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5)


@given(place=PARTS)
def test_cursor_comes_back_as_the_place_to_its_own_listing(place: list[str | int]) -> None:
    cursor = write_cursor(LISTING, place)

    assert place == read_cursor(LISTING, cursor)
    assert re.fullmatch("[A-Za-z0-9_-]+", cursor)
    for other in ((*LISTING[:2], ""), ("samples", "u22a8.other", "clarity")):
        with pytest.raises(ApiError, match="next_cursor") as refused:
            read_cursor(other, cursor)
        assert (422, {"field": "cursor"}) == (refused.value.status, refused.value.details)


@given(cursor=st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()), data=st.data())
def test_made_up_or_changed_cursor_is_refused(cursor: str, data: st.DataObject) -> None:
    good = write_cursor(LISTING, ["a", 17, "9babac40-1978-4ae0-b765-f30fdb6eb7a4"])
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_=").filter(lambda letter: letter != good[at]))
    for wrong in (cursor, good[:at], good[:at] + other + good[at + 1 :], good + other):
        with pytest.raises(ApiError):
            read_cursor(LISTING, wrong)
