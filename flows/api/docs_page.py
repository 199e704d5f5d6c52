"""The docs page: Swagger UI, whose files come with the package fastapi-offline, so that it needs no network."""

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

DOCS_PATH = "/v1/docs"
FILES_PATH = f"{DOCS_PATH}/files"


def add_docs(app: FastAPI) -> None:
    """Adds the page, on which every endpoint can be tried, and its files; neither needs a key."""
    page = get_swagger_ui_html(
        openapi_url=app.openapi_url or "",
        title=app.title,
        swagger_js_url=f"{FILES_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{FILES_PATH}/swagger-ui.css",
        swagger_favicon_url=f"{FILES_PATH}/favicon.png",
        swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": -1},
    )
    app.mount(FILES_PATH, StaticFiles(packages=[("fastapi_offline", "static")]))

    @app.get(DOCS_PATH, include_in_schema=False)
    def read_docs() -> HTMLResponse:
        return page
