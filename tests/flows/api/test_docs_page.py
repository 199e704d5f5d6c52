"""The docs page: it has every operation, and needs no network and no key."""

import re
import shutil
from base64 import b64encode
from hashlib import sha256

import pytest
from fakes.surface import ADDRESS, Surface
from playwright.sync_api import Route, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
# Not a name of this machine: Swagger UI asks its validator about documents of other hosts only.
HOST = "http://exemplars.example.org"
GENEROUS = 60_000.0
FILES = {f"/docs/files/{name}" for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")}


def test_page_and_its_files_need_no_key_and_nothing_else_is_open_below(surface: Surface) -> None:
    page = surface.nobody.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    [script] = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()

    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert {f"/v1{path}" for path in FILES} == set(re.findall(r'(?:href|src)="([^"]+)"', page.text))
    assert {200} == {surface.nobody.get(path).status_code for path in FILES}
    for other in ("nothing.js", "..%2f..%2fopenapi.json", "../../models", ""):
        assert surface.nobody.get(f"/docs/files/{other}").status_code in {401, 404}
    # The page's own script and this server alone.
    assert f"'self' 'sha256-{digest}'" == policy.pop("script-src")
    assert ("'none'", "'self'") == (policy["default-src"], policy["connect-src"])
    assert {"'none'", "'self'", "data:", "'unsafe-inline'"} == set(" ".join(policy.values()).split())


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium")
def test_page_has_every_operation_fits_and_asks_no_other_host(surface: Surface) -> None:
    asked, told = set[str](), list[str]()

    def answer(route: Route) -> None:
        asked.add(route.request.url)
        given = surface.nobody.get(route.request.url.replace(HOST, ADDRESS))
        route.fulfill(status=given.status_code, headers=dict(given.headers), body=given.content)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 400, "height": 900})
        page.set_default_timeout(GENEROUS)
        expect.set_options(GENEROUS)
        page.route("**/*", answer)
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto(f"{HOST}/v1/docs")
        expect(page.locator(".opblock")).not_to_have_count(0)
        shown = page.locator(".opblock-summary-path").all_inner_texts()
        scrolled = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    operations = [path for path, item in surface.app.openapi()["paths"].items() for _ in item]

    assert sorted(operations) == sorted(path.replace("\u200b", "") for path in shown)
    assert (400, []) == (scrolled, told)
    assert {f"{HOST}/v1{path}" for path in ("/docs", "/openapi.json", *FILES)} == asked
