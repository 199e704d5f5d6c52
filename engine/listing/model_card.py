"""Renders the model card, a markdown page that says what a model judges and how many samples it has."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from engine.definitions.outline import Outline
from engine.listing.page import SampleCount
from engine.text.escaping import render_markdown

TEMPLATE = Path(__file__).parent / "templates" / "model_card.md.jinja"


def render_model_card(outline: Outline, counts: Mapping[str, SampleCount]) -> str:
    """The card of a model; ``counts`` has an entry for each of its traits, by key."""
    brief = {name.replace("_", " ").capitalize(): texts for name, texts in asdict(outline.brief).items() if texts}
    return render_markdown(TEMPLATE, model=outline, counts=counts, brief=brief)
