"""Negotiation: markdown for whoever asks for it, JSON for everybody else."""

import pytest

from flows.api.routes.models import prefers_markdown


@pytest.mark.parametrize(
    ("accept", "markdown"),
    [
        ("TEXT/Markdown; charset=utf-8", True),
        ("text/markdown, */*", True),
        ("application/json;q=0.4, text/markdown;q=0.5", True),
        ("*/*", False),
        ("text/*", False),
        ("", False),
        ("application/json, text/markdown", False),
        ("text/markdown;q=0", False),
        ("text/markdown;q=0.2, */*", False),
        ("text/markdown;q=good", False),
    ],
)
def test_markdown_is_for_who_prefers_it(accept: str, markdown: bool) -> None:
    assert markdown == prefers_markdown(accept)
