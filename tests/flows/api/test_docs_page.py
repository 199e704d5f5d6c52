"""The docs page: it needs no network and no key."""

import re

from fakes.surface import Surface

FILES = {f"/docs/files/{name}" for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")}


def test_page_and_its_files_need_no_key_and_nothing_else_is_open_below(surface: Surface) -> None:
    page = surface.nobody.get("/docs")

    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert {f"/v1{path}" for path in FILES} == set(re.findall(r'(?:href|src)="([^"]+)"', page.text))
    assert {200} == {surface.nobody.get(path).status_code for path in FILES}
    for other in ("nothing.js", "..%2f..%2fopenapi.json", "../../models", ""):
        assert surface.nobody.get(f"/docs/files/{other}").status_code in {401, 404}
