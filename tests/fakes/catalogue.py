"""A catalogue of many small models, some of them wrong, in a workspace of its own."""

import json
from collections.abc import Sequence
from pathlib import Path

from fakes.provider import Provider
from fakes.workspace import Workspace, make_workspace

NAMESPACE = "sheds"
MODEL = """
description: Whether notes about the work in shed {number} are understood at once.
traits:
  - type: spectrum
    key: clarity
    description: How well notes of shed {number} are understood.
    positive_label: Clear
    negative_label: Obscure
"""
NO_TRAITS = "description: A model whose traits are still to be found.\ntraits: discover\n"


def name_model(number: int) -> str:
    return f"{NAMESPACE}.shed-{number:03d}"


def make_catalogue(
    folder: Path, provider: Provider | None, count: int, bad: Sequence[int] = (), **variables: str
) -> Workspace:
    """A workspace with so many models, numbered from 0, besides its own; ``bad`` ones have no traits."""
    workspace = make_workspace(folder, provider, **variables)
    for number in range(count):
        write_model(workspace.folder / "models", number, bad=number in bad)
    return workspace


def write_model(models: Path, number: int, bad: bool = False, note: str = "") -> None:
    place = models / name_model(number)
    place.mkdir(parents=True, exist_ok=True)
    text = NO_TRAITS if bad else MODEL.format(number=number)
    (place / "model.yaml").write_text(text + (f"brief: {{intent: {json.dumps(note)}}}\n" if note else ""))
