"""No text of a model or a set breaks the page of its card."""

import re

import pytest
from fakes.builders import make_exemplar, make_model, make_stamp, make_trait
from markdown_it import MarkdownIt

from engine.domain.samples import make_row
from engine.domain.unlabelled_texts import OwnTexts, TextsFile
from engine.report.dataset_card import render_card
from engine.text.language import Language


def describe_card(said: str) -> tuple[list[str], list[int]]:
    """The kinds of block and of what is within lines, as a reader of markdown sees them, and the bars of each row."""
    trait = make_trait(name=said, description=said, positive_label=said, negative_label=said)
    model = make_model(trait, description=said, additional_terms=(said,), upstream_sources=(said,))
    rows = [make_row(make_exemplar(said, pole), make_stamp(), None) for pole in ("positive", "negative")]
    card = render_card(model, make_stamp(), rows, "openai/test", Language(), "Attached.")
    blocks = MarkdownIt("commonmark").enable("table").parse(card)
    kinds = [token.type for block in blocks for token in (block, *(block.children or ())) if token.type[:4] != "text"]
    return kinds, [len(re.findall(r"(?<!\\)[|]", line)) for line in card.splitlines() if line.startswith("|")]


def test_card_names_each_file_of_texts_with_its_digest() -> None:
    files = (TextsFile("mails 2026.csv", "a" * 64, 12_345), TextsFile("posts", "b" * 64, 2))
    model = make_model(texts=OwnTexts(files))
    card = render_card(model, make_stamp(), [], "openai/test", Language(), "Attached.")
    without = render_card(make_model(), make_stamp(), [], "openai/test", Language(), "Attached.")

    assert f"- mails 2026.csv (12,345 in all, SHA-256 `{'a' * 64}`)\n- posts (2 in all" in card
    assert "modelled on" not in without


@pytest.mark.parametrize("text", ["a | b", "1. b", "first\n\n# second", "a <img src=x> b", "![b](http://b.test/b.png)"])
def test_no_text_breaks_the_page(text: str) -> None:
    assert describe_card("plain") == describe_card(text)
