"""The docs page: it has every operation, needs no network and no key, and its forms call the door."""

import re
import shutil
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Literal

import pytest
from fakes.door import Door, open_door
from fakes.site import clear_environment, find_free_port
from fakes.stored import HANDLE, write_model
from fakes.workspace import make_workspace
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.testclient import TestClient

from engine.settings import Settings
from flows.api.app import make_app

CHROMIUM = shutil.which("chromium")
# Not a name of this machine: Swagger UI asks its validator about documents of other hosts only.
HOST = "exemplars.example.org"
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


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door with one model; nobody answers where it looks for Prefect."""
    folder = tmp_path_factory.mktemp("docs")
    workspace = make_workspace(folder / "site")
    write_model(folder / "site" / "models")
    variables = {
        **clear_environment(),
        **workspace.variables,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{find_free_port()}/api",
        "EXEMPLARS_API_ALLOWED_HOSTS": HOST,
    }
    with open_door(workspace, variables) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that finds the door's host, and no other."""
    if CHROMIUM is None:
        pytest.skip("needs the Debian package chromium")
    rules = f"--host-resolver-rules=MAP {HOST} 127.0.0.1, MAP * ~NOTFOUND"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", rules])
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "scheme", "background"), [(400, "dark", "rgb(28, 32, 34)"), (1280, "light", "rgba(0, 0, 0, 0)")]
)
def test_page_has_every_operation_fits_and_asks_no_other_host(
    door: Door, browser: Browser, width: int, scheme: Literal["dark", "light"], background: str
) -> None:
    address = name_address(door)
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen = watch(page)
    page.goto(f"{address}/v1/docs")
    expect(page.locator(".opblock")).not_to_have_count(0)
    shown = page.locator(".opblock-summary-path").all_inner_texts()
    for control in page.locator(".opblock-summary-control").all():
        control.click()
    expect(page.locator(".execute")).to_have_count(len(shown))
    scrolled = page.evaluate("document.documentElement.scrollWidth")
    styled = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.close()

    assert list_paths(door) == sorted(path.replace("\u200b", "") for path in shown)
    assert (width, background) == (scrolled, styled)
    files = {f"/v1/docs/files/{name}" for name in FILES}
    assert {f"{address}{path}" for path in {"/v1/docs", "/v1/openapi.json", *files}} == set(seen)


@pytest.mark.slow
def test_form_calls_an_endpoint_with_a_key_and_without(door: Door, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{name_address(door)}/v1/docs")
    operation = page.locator(".opblock", has_text="List traits")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_placeholder("handle").fill(HANDLE)
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("401")
    page.get_by_role("button", name="Authorize").click()
    page.locator(".auth-container input").fill(door.secret)
    page.locator(".auth-container").get_by_role("button", name="Apply credentials").click()
    page.locator(".auth-container").get_by_role("button", name="Close").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    told = operation.locator(".live-responses-table").inner_text()
    kept = page.evaluate("JSON.stringify(localStorage) + document.cookie")
    page.close()

    assert '"key": "clarity"' in told
    assert "x-request-id" in told
    assert door.secret not in kept


def name_address(door: Door) -> str:
    return door.url.removesuffix("/v1").replace("127.0.0.1", HOST)


def list_paths(door: Door) -> list[str]:
    paths = door.open_client("").get("/openapi.json").json()["paths"]
    return sorted(path for path, operations in paths.items() for _ in operations)


def watch(page: Page) -> list[str]:
    """Every address that is asked for, every message of the console and every error of the page."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    return seen
