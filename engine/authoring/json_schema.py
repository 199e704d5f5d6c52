"""Writes the JSON Schemas of ``model.yaml`` and of a line of samples, by which editors complete and check."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from engine.definitions.mistakes import Entry
from engine.definitions.schema import ModelEntry, SampleEntry

# What the command calls them. docs/reference/schemas has the same, and a test compares.
SCHEMAS: Mapping[str, tuple[type[Entry], str]] = {
    "model": (ModelEntry, "model.yaml of Exemplars"),
    "sample": (SampleEntry, "A sample of Exemplars, as a line of JSONL"),
}


def make_schema(name: str) -> dict[str, Any]:
    """Makes one of ``SCHEMAS``, of the dialect 2020-12."""
    kind, title = SCHEMAS[name]
    return {"$schema": GenerateJsonSchema.schema_dialect, **kind.model_json_schema(), "title": title}


def format_schema(name: str) -> str:
    """Formats a schema as its file has it."""
    return json.dumps(make_schema(name), ensure_ascii=False, indent=2) + "\n"
