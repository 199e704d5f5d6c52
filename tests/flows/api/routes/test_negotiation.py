"""Negotiation: markdown for whoever asks for it, JSON for everybody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.api.routes.models import prefers_markdown


@pytest.mark.parametrize(
    "accept",
    [
        "text/markdown",
        "TEXT/Markdown; charset=utf-8",
        "text/markdown, */*;q=0.1",
        "text/markdown, */*",
        "application/json;q=0.4, text/markdown;q=0.5",
    ],
)
def test_markdown_is_preferred(accept: str) -> None:
    assert prefers_markdown(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/json",
        "text/*",
        "",
        "application/json, text/markdown",
        "text/markdown;q=0",
        "text/markdown;q=0.2, */*",
        "text/markdown;q=good",
    ],
)
def test_json_is_preferred(accept: str) -> None:
    assert not prefers_markdown(accept)


@given(accept=st.text())
def test_any_header_is_read(accept: str) -> None:
    assert prefers_markdown(accept) in {True, False}
