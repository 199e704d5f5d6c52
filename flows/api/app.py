"""Build the FastAPI application: the routes, and the middleware that every request passes."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request, Security
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from prefect.client.orchestration import get_client
from starlette.middleware import Middleware

from engine.settings import Settings
from flows.api.envelope import Envelope
from flows.api.errors import BASE, EXCEPTION_HANDLERS
from flows.api.guard import Guard
from flows.api.keys import Key, KeyRing, locate_keys
from flows.api.metrics import RequestMetrics
from flows.api.orchestrator import TIMEOUT_SECONDS, Orchestrator
from flows.api.refusals import BY_PREFECT, describe_answers, list_refusals
from flows.api.routes import changes, models, synthesize
from flows.api.routes.body import note_query
from flows.api.routes.dependencies import get_orchestrator
from flows.api.schemas import Health
from flows.review.routes import router as review_router

DOCS_PATH = f"{BASE}/docs"
FILES_PATH = f"{DOCS_PATH}/files"
ABOUT = f"""
Labelled text samples for models that have none, or too few: a model's trait definitions go in, exemplars of both poles
come out, screened, checked by a gate and attached with the provenance `synthesized`.

Ask for a synthesis with `POST /v1/models/{{handle}}/samples/synthesize`, read `last_operation` of the model until its
status is `succeeded`, then list the samples. Samples of your own are added with `POST /v1/models/{{handle}}/samples`.
A key is issued where the service runs, with `python -m flows.api keys issue`, and is sent as
`Authorization: Bearer <key>`.

Fields and query parameters that nobody reads are ignored, and `X-Ignored-Fields` names them: a mistyped
`efort` starts a run at the effort that holds without it. Look for that header while you write a client.

Every answer carries `X-Request-Id`. Every answer that is not 2xx is one envelope,
`{{"error": {{"code", "message", "request_id", "details"}}}}`: `code` is a stable word to branch on, `message` says to a
person what is wrong and what to do, `request_id` is the header's, and `details` is an object, empty where there is
nothing to add.

{list_refusals()}

405 carries `Allow`, 503 carries `Retry-After`. A listing comes in pages: give `next_cursor` as `cursor`, with the same
filters, until it is null.
"""
KEYS = """
A key of `python -m flows.api keys issue`. Its scope is `scoring` (it reads) or `authoring` (it reads and changes). It
changes only in the namespaces that it owns, and reads those and the public ones: `u22a8`, `live` and `bench`. A model
that a key may not read answers like one that does not exist.
"""
TAGS = [
    {"name": "Service", "description": "Whether it works."},
    {"name": "Synthesis", "description": "Samples for a model: what the service is for."},
    {"name": "Changing", "description": "Samples of a draft, one by one."},
    {"name": "Review", "description": "A person's decision on a set before it is attached."},
    {"name": "Reading", "description": "Models, their traits and samples, and what their runs left."},
]
bearer = HTTPBearer(auto_error=False, scheme_name="bearer", description=KEYS)
health = APIRouter(tags=["Service"])


@health.get("/health", responses=describe_answers(*BY_PREFECT, is_open=True), summary="Ask whether it works")
async def read_health(request: Request) -> Health:
    """Check that the HTTP API and Prefect's server behind it answer. Needs no key."""
    await get_orchestrator(request).ping()
    return Health(status="ok")


def make_app(
    settings: Settings,
    counts: RequestMetrics | None = None,
    find_key: Callable[[str], Key | None] | None = None,
    orchestrator: Orchestrator | None = None,
) -> FastAPI:
    """Make the application. Between two requests it keeps only connections and metrics.

    Requests are checked in the order that the contract sets: the key, the size of the body, then the rest.

    Args:
        counts: the request metrics, or None if they are not served.
        find_key: finds the key of a secret; None uses the file of keys in the settings.
        orchestrator: holds the runs; None for Prefect's server: its client is then opened in the lifespan.
    """
    # The page of the documentation needs no network, because its files come with the package.
    app = FastAPIOffline(
        title="Exemplars",
        version="1",
        description=ABOUT,
        openapi_url=f"{BASE}/openapi.json",
        docs_url=DOCS_PATH,
        redoc_url=None,
        static_url=FILES_PATH,
        swagger_ui_oauth2_redirect_url=f"{DOCS_PATH}/oauth2-redirect",
        swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": -1},
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        openapi_tags=TAGS,
        exception_handlers=EXCEPTION_HANDLERS,
        # The outermost first. Envelope turns every exception inside it into an error response.
        middleware=[
            Middleware(Envelope, counts=counts),
            Middleware(Guard, find_key or KeyRing(locate_keys(settings)).find, settings.allowed_hosts),
        ],
        lifespan=_connect if orchestrator is None else None,
    )
    app.state.settings = settings
    app.state.orchestrator = orchestrator
    app.state.change_locks = defaultdict(asyncio.Lock)
    app.state.change_seconds = changes.WAIT_SECONDS
    app.include_router(health, prefix=BASE, dependencies=[Depends(note_query)])
    for router in (synthesize.router, models.router, changes.router, review_router):
        app.include_router(router, prefix=BASE, dependencies=[Security(bearer), Depends(note_query)])
    return app


@asynccontextmanager
async def _connect(app: FastAPI) -> AsyncIterator[None]:
    # Prefect's server may still be down at this time.
    async with get_client(httpx_settings={"timeout": TIMEOUT_SECONDS}) as client:
        app.state.orchestrator = Orchestrator(client)
        yield
