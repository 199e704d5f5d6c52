"""Derives the schemas of the tools from the OpenAPI document of the operations that they stand for."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.types import Tool, ToolAnnotations

from flows.tools_server.tools import ToolEntry

JSON = "application/json"
SCHEMAS = "#/components/schemas/"
THEN = {"type": "string", "description": "What to do now."}
IGNORED = {"type": "array", "items": {"type": "string"}, "description": "Fields of the request that nobody read."}
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the document: where it is, and the names of its arguments by where they go."""

    method: str
    path: str
    in_path: Sequence[str]
    in_query: Sequence[str]
    has_body: bool
    success: str
    description: Mapping[str, Any]

    def find_place(self, name: str) -> int:
        """Where an argument stands in the path; behind it for one that does not."""
        place = self.path.find(f"{{{name}}}")
        return place if place >= 0 else len(self.path)


def list_operations(document: Mapping[str, Any]) -> dict[str, Operation]:
    """All operations of an OpenAPI document, by their ids."""
    return {
        description["operationId"]: _read_operation(method, path, description)
        for path, methods in document["paths"].items()
        for method, description in methods.items()
    }


def describe_tool(entry: ToolEntry, operations: Mapping[str, Operation], document: Mapping[str, Any]) -> Tool:
    """A tool as clients see it.

    Its arguments are those of its operation, and no others: a mistyped one is refused, since a tool's caller does not
    see the header that names what was ignored.
    """
    operation = operations[entry.operation]
    described = operation.description
    properties: Schema = {}
    required: list[str] = []
    # Those of the path in its order, then the others.
    for parameter in sorted(described.get("parameters", ()), key=lambda given: operation.find_place(given["name"])):
        properties[parameter["name"]] = _describe_parameter(parameter)
        required += [parameter["name"]] if parameter.get("required") else []
    body = described.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
    properties |= copy.deepcopy(body.get("properties", {}))
    required += body.get("required", ())
    for name, said in entry.arguments.items():
        # An example of a cursor or a run id is one that a model may take for its own.
        kept = {field: value for field, value in properties[name].items() if field != "examples"}
        properties[name] = {**kept, "description": said}
    return Tool(
        name=entry.name,
        title=entry.title,
        description=entry.description,
        input_schema={
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
        output_schema=_describe_answer(entry, operations, document),
        annotations=ToolAnnotations(
            read_only_hint=entry.reads_only,
            destructive_hint=entry.destroys,
            idempotent_hint=entry.repeats_safely,
            open_world_hint=entry.asks_others,
        ),
    )


def _read_operation(method: str, path: str, described: Mapping[str, Any]) -> Operation:
    parameters = described.get("parameters", ())
    return Operation(
        method=method.upper(),
        path=path,
        in_path=[parameter["name"] for parameter in parameters if parameter["in"] == "path"],
        in_query=[parameter["name"] for parameter in parameters if parameter["in"] == "query"],
        has_body="requestBody" in described,
        success=next(status for status in described["responses"] if status.startswith("2")),
        description=described,
    )


def _describe_parameter(parameter: Mapping[str, Any]) -> Schema:
    described: Schema = _tidy(parameter["schema"])
    if "description" in parameter:
        described["description"] = parameter["description"]
    return described


def _describe_answer(entry: ToolEntry, operations: Mapping[str, Operation], document: Mapping[str, Any]) -> Schema:
    """The schema of the answer, which has all that it refers to in its own ``$defs``."""
    schemas = document["components"]["schemas"]
    names = [entry.operation, *([entry.also] if entry.also else [])]
    answers = [_find_answer(operations[name], schemas) for name in names]
    properties = {name: value for answer in answers for name, value in answer["properties"].items()}
    properties |= {"next": THEN} if entry.then else {}
    described: Schema = {
        "type": "object",
        "properties": {**properties, **({"ignored_fields": IGNORED} if operations[entry.operation].has_body else {})},
        "required": list(properties),
        "additionalProperties": False,
    }
    found: Schema = {}
    _collect(described, schemas, found)
    tidied: Schema = _tidy({**described, **({"$defs": found} if found else {})})
    return tidied


def _find_answer(operation: Operation, schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = operation.description["responses"][operation.success]["content"][JSON]["schema"]
    answer: Mapping[str, Any] = schemas[schema["$ref"].removeprefix(SCHEMAS)]
    return answer


def _collect(value: object, schemas: Mapping[str, Any], found: Schema) -> None:
    """Adds to ``found`` every schema that a value refers to, directly or by another."""
    if isinstance(value, Mapping):
        reference = value.get("$ref")
        if isinstance(reference, str) and (name := reference.removeprefix(SCHEMAS)) not in found:
            found[name] = schemas[name]
            _collect(found[name], schemas, found)
    below = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for item in below:
        _collect(item, schemas, found)


def _tidy(value: Any) -> Any:
    """A schema that refers to its own definitions, without the titles that pydantic makes of names."""
    if isinstance(value, dict):
        return {
            name: item.replace(SCHEMAS, "#/$defs/") if name == "$ref" else _tidy(item)
            for name, item in value.items()
            if not (name == "title" and isinstance(item, str))
        }
    return [_tidy(item) for item in value] if isinstance(value, list) else value
