"""No text of a model or a set breaks the page of its card."""

import re
from typing import Any

import pytest
from fakes.builders import make_exemplar, make_model, make_stamp, make_trait

from engine.domain.samples import make_row
from engine.report.dataset_card import render_card
from engine.text.language import Language


def render(said: str) -> str:
    trait = make_trait(name=said, description=said, positive_label=said, negative_label=said)
    model = make_model(trait, description=said, additional_terms=(said,), upstream_sources=(said,))
    rows = [make_row(make_exemplar(said, pole), make_stamp(), None) for pole in ("positive", "negative")]
    counts: dict[Any, int] = {("clarity", "positive"): 1, ("clarity", "negative"): 1}
    return render_card(model, make_stamp(), rows, counts, "openai/test", Language(), "Attached.")


def list_shapes(card: str) -> list[tuple[str, int, int]]:
    """Of each line: what it begins with, how many cells it has, and how much HTML, links and images."""
    return [
        (
            "".join(re.findall(r"^(?:#+ |> |- |```|[|]|[0-9]+[.] )", line)),
            len(re.findall(r"(?<!\\)[|]", line)) if line.startswith("|") else 0,
            len(re.findall(r"(?<!\\)(?:<[a-z/]|!\[|\]\()", line)),
        )
        for line in card.splitlines()
    ]


@pytest.mark.parametrize("text", ["a | b", "1. b", "first\n\n# second", "a <img src=x> b", "![b](http://b.test/b.png)"])
def test_no_text_breaks_the_page(text: str) -> None:
    assert list_shapes(render("plain")) == list_shapes(render(text))
