"""The docs page: the OpenAPI document as one HTML page, without scripts and without any external resource."""

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from flows.api.docs_schemas import describe_type, find_object, make_example, resolve

DOCS_PATH = "/v1/docs"

_DEEPEST = 2
_METHODS = ("get", "post", "put", "patch", "delete")
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, a header, or a field of a body; ``where`` is ``path``, ``query`` or empty."""

    name: str
    where: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Example:
    """An example body as text, with a name if there are several."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """A body of one media type, with at least one example."""

    media_type: str
    fields: tuple[Field, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One status of an operation."""

    status: str
    description: str
    headers: tuple[Field, ...]
    contents: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    is_secured: bool
    parameters: tuple[Field, ...]
    body: Content | None
    answers: tuple[Answer, ...]
    curl: str


def add_docs(app: FastAPI, path: str = DOCS_PATH) -> None:
    """Adds the route that serves the page, which is rendered once, on the first request."""

    @cache
    def render() -> HTMLResponse:
        page = render_docs(app.openapi(), app.openapi_url or "")
        return HTMLResponse(page, headers={"Content-Security-Policy": write_policy()})

    @app.get(path, include_in_schema=False)
    def read_docs() -> HTMLResponse:
        return render()


def render_docs(openapi: Mapping[str, Any], openapi_url: str) -> str:
    """Renders the page; it says exactly what the OpenAPI document says."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    # HTML in a description is shown as text.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    environment.filters["markdown"] = lambda text: Markup(markdown.render(text))  # noqa: S704
    environment.filters["inline"] = lambda text: Markup(markdown.renderInline(text))  # noqa: S704
    return environment.get_template("docs.html.jinja").render(
        info=openapi["info"],
        security=openapi.get("components", {}).get("securitySchemes", {}),
        operations=list_operations(openapi),
        openapi_url=openapi_url,
        style=Markup(_read_style()),  # noqa: S704
    )


def write_policy() -> str:
    """The page's Content-Security-Policy: it allows the page's own style sheet, by its digest, and nothing else."""
    digest = b64encode(sha256(_read_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def list_operations(openapi: Mapping[str, Any]) -> list[Operation]:
    """All operations, by path in the order of the document, with GET first."""
    return [
        _read_operation(openapi, path, method, item[method])
        for path, item in openapi["paths"].items()
        for method in _METHODS
        if method in item
    ]


@cache
def _read_style() -> str:
    return (_TEMPLATES / "docs.css").read_text(encoding="utf-8")


def _read_operation(openapi: Mapping[str, Any], path: str, method: str, found: Mapping[str, Any]) -> Operation:
    parameters = [resolve(openapi, parameter) for parameter in found.get("parameters", [])]
    body = _read_contents(openapi, resolve(openapi, found.get("requestBody", {})).get("content", {}), True)
    is_secured = bool(found.get("security", openapi.get("security")))
    answers = ((status, resolve(openapi, answer)) for status, answer in found["responses"].items())
    return Operation(
        anchor=re.sub(r"[^a-z0-9]+", "-", f"{method}{path}".lower()).strip("-"),
        method=method.upper(),
        path=path,
        summary=found.get("summary", ""),
        description=found.get("description", ""),
        is_secured=is_secured,
        parameters=tuple(_read_parameter(openapi, parameter) for parameter in parameters),
        body=body[0] if body else None,
        answers=tuple(_read_answer(openapi, status, answer) for status, answer in answers),
        curl=_write_curl(openapi, path, method, parameters, body[0] if body else None, is_secured),
    )


def _read_parameter(openapi: Mapping[str, Any], parameter: Mapping[str, Any]) -> Field:
    kind = describe_type(openapi, parameter.get("schema", {}))
    description = parameter.get("description", "")
    return Field(parameter["name"], parameter["in"], kind, parameter.get("required", False), description)


def _read_answer(openapi: Mapping[str, Any], status: str, answer: Mapping[str, Any]) -> Answer:
    headers = ((name, resolve(openapi, header)) for name, header in answer.get("headers", {}).items())
    contents = _read_contents(openapi, answer.get("content", {}), False)
    if not status.startswith("2"):
        # All refusals have the same fields, which the page describes once, at its top.
        contents = tuple(replace(content, fields=()) for content in contents)
    return Answer(
        status=status,
        description=answer.get("description", ""),
        headers=tuple(
            Field(name, "", describe_type(openapi, header.get("schema", {})), False, header.get("description", ""))
            for name, header in headers
        ),
        contents=contents,
    )


def _read_contents(openapi: Mapping[str, Any], contents: Mapping[str, Any], is_asked: bool) -> tuple[Content, ...]:
    return tuple(
        Content(
            media_type, _read_fields(openapi, content.get("schema", {}), is_asked), _write_examples(openapi, content)
        )
        for media_type, content in contents.items()
    )


def _read_fields(
    openapi: Mapping[str, Any], schema: Mapping[str, Any], is_asked: bool, prefix: str = ""
) -> tuple[Field, ...]:
    """An object's fields and nested fields (``items[].id``); only a request's fields can be ``required``."""
    found = resolve(openapi, schema)
    fields: list[Field] = []
    for name, field in found.get("properties", {}).items():
        kind = describe_type(openapi, field)
        required = is_asked and name in found.get("required", [])
        fields.append(Field(prefix + name, "", kind, required, field.get("description", "")))
        if prefix.count(".") < _DEEPEST:
            inner, mark = find_object(openapi, field)
            fields.extend(_read_fields(openapi, inner, is_asked, f"{prefix}{name}{mark}."))
    return tuple(fields)


def _write_examples(openapi: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[Example, ...]:
    """The content's own examples, or one generated from its schema."""
    named = {name: example.get("value") for name, example in content.get("examples", {}).items()}
    if "example" in content or not named:
        named = {"": content["example"] if "example" in content else make_example(openapi, content.get("schema", {}))}
    return tuple(
        Example(name if len(named) > 1 else "", value if isinstance(value, str) else _write_json(value))
        for name, value in named.items()
    )


def _write_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _write_curl(
    openapi: Mapping[str, Any],
    path: str,
    method: str,
    parameters: Sequence[Mapping[str, Any]],
    body: Content | None,
    is_secured: bool,
) -> str:
    for parameter in parameters:
        if parameter["in"] == "path":
            example = parameter.get("example", make_example(openapi, parameter.get("schema", {})))
            path = path.replace(f"{{{parameter['name']}}}", str(example))
    lines = [f'curl "$EXEMPLARS{path}"' if method == "get" else f'curl -X {method.upper()} "$EXEMPLARS{path}"']
    lines += ['-H "Authorization: Bearer $EXEMPLARS_KEY"'] if is_secured else []
    if body:
        text = body.examples[0].text
        compact = json.dumps(json.loads(text)) if body.media_type == "application/json" else text
        lines += [f"-H 'Content-Type: {body.media_type}'", f"-d {shlex.quote(compact)}"]
    return " \\\n  ".join(lines)
