"""The docs page: it says what the document says, needs nothing from elsewhere, and fits a phone and a desk."""

import json
import re
import shutil
from html import unescape
from typing import Annotated, Any, Literal

import pytest
from fakes.edge import Edge
from fastapi import FastAPI, Query, Security
from fastapi.security import HTTPBearer
from playwright.sync_api import Page, sync_playwright
from pydantic import BaseModel, Field
from starlette.testclient import TestClient

from flows.api.docs_page import add_docs, list_operations, render_docs
from flows.api.docs_schemas import describe_type, make_example

CHROMIUM = shutil.which("chromium")


class Sample(BaseModel):
    id: int = Field(examples=[4711])
    text: str


class Listed(BaseModel):
    items: list[Sample]
    next: Sample | None = None
    limit: int = 100


class Asked(BaseModel):
    synth_type: Literal["from_traits", "diversify"] = Field("from_traits", description="What it is **for**.")
    note: str = Field(examples=["it's new"])


def make_app() -> FastAPI:
    app = FastAPI(title="Door <1>", openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None)
    key = Security(HTTPBearer(description="A key."))

    @app.post("/v1/models/{handle}", summary="Make", dependencies=[key], status_code=202)
    def make(handle: str, asked: Asked) -> Sample:
        """Makes <script>alert(1)</script> one."""
        raise NotImplementedError

    @app.get(
        "/v1/models/{handle}",
        responses={
            404: {
                "description": "No such model.",
                "headers": {"X-Request-Id": {"description": "Its id.", "schema": {"type": "string"}}},
                "content": {
                    "application/json": {
                        "schema": {"properties": {"told_once": {"type": "string"}}},
                        "examples": {"one": {"value": {"error": "none"}}, "other": {"value": {"error": "some"}}},
                    }
                },
            },
            409: {"description": "Busy.", "content": {"text/markdown": {"example": "# Card"}}},
        },
    )
    def read(handle: str, limit: Annotated[int, Query(ge=1, le=500, description="How many.")] = 100) -> Listed:
        raise NotImplementedError

    add_docs(app)
    return app


@pytest.fixture
def text() -> str:
    """The page without its style and tags."""
    page = TestClient(make_app()).get("/v1/docs").text
    return unescape(re.sub(r"<style>.*?</style>|<[^>]+>", "", page, flags=re.DOTALL))


@pytest.mark.parametrize(
    "expected",
    [
        "Door <1>",
        "GETRead",
        "/v1/models/{handle}",
        "limitqueryinteger, 1 to 500, default 100",
        "How many.",
        "synth_typeone of from_traits, diversify, default from_traits",
        "What it is for.",
        "X-Request-Idtext",
        "Its id.",
        "404No such model.",
        '"error": "none"',
        '"error": "some"',
        "# Card",
        "itemslist of Sample",
        "items[].id",
        "next.text",
        "with a key",
        "without a key",
        "A key.",
    ],
)
def test_page_says_what_the_document_says(text: str, expected: str) -> None:
    assert expected in text


def test_curl_lines_can_be_pasted() -> None:
    read, make = list_operations(make_app().openapi())

    assert 'curl "$EXEMPLARS/v1/models/…"' == read.curl
    assert [
        'curl -X POST "$EXEMPLARS/v1/models/…" \\',
        '  -H "Authorization: Bearer $EXEMPLARS_KEY" \\',
        "  -H 'Content-Type: application/json' \\",
        """  -d '{"synth_type": "from_traits", "note": "it'"'"'s new"}'""",
    ] == make.curl.splitlines()


def test_fields_of_a_refusal_are_left_out(text: str) -> None:
    assert "told_once" not in text


def test_html_in_a_description_is_text() -> None:
    page = TestClient(make_app()).get("/v1/docs").text

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_page_is_not_in_the_document() -> None:
    assert ["/v1/models/{handle}"] == list(make_app().openapi()["paths"])


def test_policy_allows_the_own_style_and_nothing_else(edge: Edge) -> None:
    [answer] = edge.ask(b"GET /v1/docs HTTP/1.1\r\nHost: localhost\r\n\r\n")
    directives = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))

    assert "'none'" == directives.pop("default-src")
    assert re.fullmatch(r"'sha256-[a-z0-9+/]{43}='", directives.pop("style-src"))
    assert {"'none'"} == set(directives.values())
    assert "text/html; charset=utf-8" == answer.headers["content-type"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"type": "string", "maxLength": 5}, "text, at most 5 characters"),
        ({"type": "integer", "minimum": 1}, "integer, at least 1"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}, "list of text, 1 to 3 items"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text or null"),
        ({"const": "busy"}, "busy"),
        ({"$ref": "#/components/schemas/Node"}, "Node"),
        ({"$ref": "#/components/schemas/Word"}, "one of a, b"),
        ({"$ref": "#/components/schemas/Loop"}, "list of " * 9 + "value"),
        ({"type": "object"}, "object"),
        ({}, "any value"),
    ],
)
def test_type_is_put_into_words(schema: dict[str, Any], expected: str) -> None:
    assert expected == describe_type(DOCUMENT, schema)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer", "examples": [7], "default": 3}, 7),
        ({"type": "integer", "default": 3}, 3),
        ({"enum": ["low", "high"]}, "low"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"type": "number"}, 0.0),
        ({"type": "boolean"}, False),
        ({"type": "object"}, {}),
        ({}, "…"),
    ],
)
def test_example_is_made_where_none_is_given(schema: dict[str, Any], expected: object) -> None:
    assert expected == make_example(DOCUMENT, schema)


def test_schema_that_holds_itself_has_an_example() -> None:
    assert json.dumps(make_example(DOCUMENT, {"$ref": "#/components/schemas/Node"})).count("next") < 20


def test_document_that_holds_itself_has_a_page() -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}
    paths = {"/v1/nodes": {"get": {"responses": {"200": {"description": "One.", "content": content}}}}}

    assert "next.next.next" in render_docs({**DOCUMENT, "paths": paths}, "/v1/openapi.json")


DOCUMENT = {
    "info": {"title": "Nodes", "version": "1"},
    "components": {
        "schemas": {
            "Node": {"type": "object", "title": "Node", "properties": {"next": {"$ref": "#/components/schemas/Node"}}},
            "Word": {"enum": ["a", "b"]},
            "Loop": {"type": "array", "items": {"$ref": "#/components/schemas/Loop"}},
        }
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_and_is_styled_and_fetches_nothing(edge: Edge, width: int, scheme: Literal["light", "dark"]) -> None:
    if CHROMIUM is None:
        pytest.skip("needs the Debian package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        seen = watch(page)
        page.goto(f"{edge.address}/v1/docs")
        scrolled = page.evaluate("document.documentElement.scrollWidth")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        browser.close()

    assert width == scrolled
    assert {"light": "rgb(251, 250, 247)", "dark": "rgb(20, 23, 26)"}[scheme] == background
    assert [f"{edge.address}/v1/docs"] == [line for line in seen if not line.endswith("/favicon.ico")]


def watch(page: Page) -> list[str]:
    """Every address that is asked for, and every message of the console."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("console", lambda message: seen.append(message.text))
    return seen
