"""The docs page: it has every operation, needs no network and no key, and its forms call the door."""

import re
import shutil
from base64 import b64encode
from hashlib import sha256

import pytest
from fakes.surface import ADDRESS, Surface
from fakes.workspace import HANDLE
from playwright.sync_api import Route, expect, sync_playwright
from starlette.testclient import TestClient

from engine.settings import Settings
from flows.api.app import make_app

CHROMIUM = shutil.which("chromium")
# Not a name of this machine: Swagger UI asks its validator about documents of other hosts only.
HOST = "http://exemplars.example.org"
GENEROUS = 60_000.0
BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"
FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")


@pytest.fixture(scope="module")
def plain() -> TestClient:
    """The whole application without a key and without Prefect."""
    return TestClient(make_app(Settings()), base_url="http://localhost")


def test_page_and_its_files_need_no_key(plain: TestClient) -> None:
    page = plain.get("/v1/docs")
    named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    kinds = [plain.get(path).headers["content-type"].partition(";")[0] for path in named]

    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert {f"/v1/docs/files/{name}" for name in FILES} == set(named)
    assert {"text/css", "image/png", "text/javascript"} == set(kinds)


@pytest.mark.parametrize("path", ["nothing.js", "..%2f..%2fopenapi.json", "../../models", ""])
def test_nothing_else_is_open_below_the_page(plain: TestClient, path: str) -> None:
    assert plain.get(f"/v1/docs/files/{path}").status_code in {401, 404}


def test_page_is_not_in_the_document(plain: TestClient) -> None:
    assert [] == [path for path in plain.get("/v1/openapi.json").json()["paths"] if "docs" in path]


def test_policy_allows_the_page_its_own_script_and_this_server_alone(plain: TestClient) -> None:
    page = plain.get("/v1/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    [script] = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()

    assert "'none'" == policy.pop("default-src")
    assert f"'self' 'sha256-{digest}'" == policy.pop("script-src")
    assert {"'none'", "'self'", "data:", "'unsafe-inline'"} == set(" ".join(policy.values()).split())
    assert "'self'" == policy["connect-src"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium")
def test_page_has_every_operation_fits_asks_no_other_host_and_its_forms_call_the_door(surface: Surface) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        request = route.request
        asked.append(request.url)
        headers = {name: text for name, text in request.headers.items() if name in {"accept", "authorization"}}
        given = surface.nobody.request(
            request.method, request.url.replace(HOST, ADDRESS), content=request.post_data_buffer, headers=headers
        )
        route.fulfill(status=given.status_code, headers=dict(given.headers), body=given.content)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 400, "height": 900}, color_scheme="dark")
        page.set_default_timeout(GENEROUS)
        expect.set_options(GENEROUS)
        page.route("**/*", answer)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{HOST}/v1/docs")
        expect(page.locator(".opblock")).not_to_have_count(0)
        shown = page.locator(".opblock-summary-path").all_inner_texts()
        told = [*said]
        for name in ("Synthesize samples", "Add samples", "List traits"):
            page.locator(".opblock", has_text=name).locator(".opblock-summary-control").click()
        expect(page.locator(".execute")).to_have_count(3)
        scrolled = page.evaluate("document.documentElement.scrollWidth")
        dark = page.evaluate(BACKGROUND)
        operation = page.locator(".opblock", has_text="List traits")
        status = operation.locator(".live-responses-table .response-col_status").last
        operation.get_by_placeholder("handle").fill(HANDLE)
        operation.get_by_role("button", name="Execute").click()
        expect(status).to_contain_text("401")
        page.get_by_role("button", name="Authorize").click()
        page.locator(".auth-container input").fill(surface.secret)
        page.locator(".auth-container").get_by_role("button", name="Apply credentials").click()
        page.locator(".auth-container").get_by_role("button", name="Close").click()
        operation.get_by_role("button", name="Execute").click()
        expect(status).to_contain_text("200")
        answered = operation.locator(".live-responses-table").inner_text()
        kept = page.evaluate("JSON.stringify(localStorage) + document.cookie")
        page.emulate_media(color_scheme="light")
        page.reload()
        expect(page.locator(".opblock")).not_to_have_count(0)
        light = page.evaluate(BACKGROUND)
        browser.close()
    paths = surface.app.openapi()["paths"]

    assert sorted(path for path, item in paths.items() for _ in item) == sorted(
        path.replace("\u200b", "") for path in shown
    )
    assert (400, "rgb(28, 32, 34)", "rgba(0, 0, 0, 0)") == (scrolled, dark, light)
    files = {f"/v1/docs/files/{name}" for name in FILES}
    known = {"/v1/docs", "/v1/openapi.json", f"/v1/models/{HANDLE}/traits", *files}
    assert ({f"{HOST}{path}" for path in known}, []) == ({*asked}, told)
    assert '"key": "clarity"' in answered
    assert "x-request-id" in answered
    assert surface.secret not in kept
