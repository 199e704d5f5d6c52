"""The docs page: Swagger UI, whose files come with the package fastapi-offline, so that it needs no network."""

from base64 import b64encode
from hashlib import sha256

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

DOCS_PATH = "/v1/docs"
FILES_PATH = f"{DOCS_PATH}/files"

_PARAMETERS = {"tryItOutEnabled": True, "defaultModelsExpandDepth": -1}
# Swagger UI has a dark style, and leaves it to the page when to use it.
_SCRIPT = "document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches)"


def add_docs(app: FastAPI) -> None:
    """Adds the page, on which every endpoint can be tried, and its files; neither needs a key."""
    plain = get_swagger_ui_html(
        openapi_url=app.openapi_url or "",
        title=app.title,
        swagger_js_url=f"{FILES_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{FILES_PATH}/swagger-ui.css",
        swagger_favicon_url=f"{FILES_PATH}/favicon.png",
        swagger_ui_parameters=_PARAMETERS,
    )
    page = bytes(plain.body).decode().replace("<script>", f"<script>{_SCRIPT};")
    headers = {"Content-Security-Policy": write_policy(page)}
    app.mount(FILES_PATH, StaticFiles(packages=[("fastapi_offline", "static")]))

    @app.get(DOCS_PATH, include_in_schema=False)
    def read_docs() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)


def write_policy(page: str) -> str:
    """The page's Content-Security-Policy: its own script, by its digest, and files and answers of this server alone."""
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
