"""Writes the JSON Schemas of ``model.yaml`` and of a line of samples, by which editors complete and check."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from engine.definitions.mistakes import Entry
from engine.definitions.schema import ModelEntry, SampleEntry

# What the command calls them. docs/reference/schemas has the same, and a test compares.
SCHEMAS: Mapping[str, tuple[type[Entry], str]] = {
    "model": (ModelEntry, "model.yaml of Exemplars"),
    "sample": (SampleEntry, "A sample of Exemplars, as a line of JSONL"),
}


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that only repeat the names of the fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def make_schema(name: str) -> dict[str, Any]:
    """Makes one of ``SCHEMAS``, of the dialect 2020-12."""
    kind, title = SCHEMAS[name]
    schema = kind.model_json_schema(schema_generator=_Untitled)
    return {"$schema": GenerateJsonSchema.schema_dialect, **_tidy(schema), "title": title}


def format_schema(name: str) -> str:
    """Formats a schema as its file has it."""
    return json.dumps(make_schema(name), ensure_ascii=False, indent=2) + "\n"


def _tidy(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Puts descriptions on one line, and leaves out defaults of null, which say nothing."""
    tidy: JsonSchemaValue = {}
    for key, value in schema.items():
        if key == "description" and isinstance(value, str):
            tidy[key] = " ".join(value.split())
        elif key != "default" or value not in (None, []):
            tidy[key] = _tidy_value(value)
    return tidy


def _tidy_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _tidy(value)
    return [_tidy_value(item) for item in value] if isinstance(value, list) else value
