"""Describes a JSON schema in words and makes an example of it, for the docs page."""

from collections.abc import Mapping
from typing import Any

_DEEPEST = 8


def resolve(openapi: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part itself, or what its ``$ref`` refers to in the same document."""
    while "$ref" in part:
        found: Any = openapi
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        part = found
    return part


def describe_type(openapi: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> str:
    """A schema in words, such as ``one of low, high``, ``integer, 1 to 500, default 100`` or ``list of Sample``."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found = resolve(openapi, schema)
    if name and "properties" in found:
        return str(found.get("title", name))
    if depth > _DEEPEST:
        return "value"
    words = [_name_type(openapi, found, depth), *_describe_limits(found)]
    default = found.get("default", schema.get("default"))
    if default is not None:
        words.append(f"default {default}")
    return ", ".join(words)


def find_object(openapi: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The schema of the object that a field may hold, and ``[]`` for a list of objects; else an empty schema."""
    for part in (schema, *_list_parts(resolve(openapi, schema), 0)):
        found = resolve(openapi, part)
        if "properties" in found:
            return found, ""
        if found.get("type") == "array":
            return resolve(openapi, found.get("items", {})), "[]"
    return {}, ""


def make_example(openapi: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Any:
    """An example value: the schema's own example or default, or else a value of its type."""
    found = resolve(openapi, schema)
    own = [*found.get("examples", []), *(found[key] for key in ("example", "default", "const") if key in found)]
    choices = [*found.get("enum", []), *(make_example(openapi, part, depth + 1) for part in _list_parts(found, depth))]
    if own or choices:
        return [*own, *choices][0]
    if "properties" in found and depth <= _DEEPEST:
        return {name: make_example(openapi, field, depth + 1) for name, field in found["properties"].items()}
    if found.get("type") == "array" and depth <= _DEEPEST:
        return [make_example(openapi, found.get("items", {}), depth + 1)]
    kinds = {"integer": 0, "number": 0.0, "boolean": False, "array": [], "object": {}, "null": None}
    return kinds.get(found.get("type", ""), "…")


def _name_type(openapi: Mapping[str, Any], found: Mapping[str, Any], depth: int) -> str:
    if "const" in found:
        return str(found["const"])
    if "enum" in found:
        return "one of " + ", ".join(str(value) for value in found["enum"])
    parts = _list_parts(found, depth)
    if parts:
        return " or ".join(describe_type(openapi, part, depth + 1) for part in parts)
    if found.get("type") == "array":
        return "list of " + describe_type(openapi, found.get("items", {}), depth + 1)
    named: dict[str, Any] = {"string": found.get("format", "text"), "object": found.get("title", "object")}
    kind = found.get("type", "any value")
    return str(named.get(kind, kind))


def _list_parts(found: Mapping[str, Any], depth: int) -> list[Mapping[str, Any]]:
    named: list[Mapping[str, Any]] = next((found[key] for key in ("anyOf", "oneOf", "allOf") if key in found), [])
    return named if depth <= _DEEPEST else []


def _describe_limits(found: Mapping[str, Any]) -> list[str]:
    pairs = (("minimum", "maximum", ""), ("minLength", "maxLength", " characters"), ("minItems", "maxItems", " items"))
    limits = []
    for low_key, high_key, unit in pairs:
        low, high = found.get(low_key), found.get(high_key)
        if low is not None and high is not None:
            limits.append(f"{low} to {high}{unit}")
        elif low is not None or high is not None:
            limits.append(f"at least {low}{unit}" if high is None else f"at most {high}{unit}")
    return limits
