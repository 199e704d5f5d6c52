"""Middleware that records Prometheus metrics of every request; flows/api/metrics/endpoint.py serves them."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
# The route of a request that was refused before routing, as without a key, or that matched no route.
NO_ROUTE = "none"
GONE = "gone"


class RequestMetrics:
    """The metrics of requests. Labels have few values: a route is its template, and an unknown method is OTHER."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "exemplars_door_requests",
            "Requests answered, by method, route and status; status gone where the client went away first.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "exemplars_door_request_seconds",
            "How long a request took until its answer was sent.",
            ["method", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("exemplars_door_requests_in_flight", "Requests under way.", registry=registry)


class RequestMetricsMiddleware:
    """Records each request, outside all other middleware; changes neither request nor response.

    Args:
        base: the path prefix that the routers' own route templates lack.
    """

    def __init__(self, app: ASGIApp, counts: RequestMetrics, base: str) -> None:
        self._app = app
        self._counts = counts
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Records the request when it is over, however it ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = GONE

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        begun = time.perf_counter()
        self._counts.in_flight.inc()
        try:
            await self._app(scope, receive, note_status)
        finally:
            self._counts.in_flight.dec()
            method = scope["method"] if scope["method"] in METHODS else "OTHER"
            route = name_route(scope, self._base)
            self._counts.requests.labels(method, route, status).inc()
            self._counts.seconds.labels(method, route).observe(time.perf_counter() - begun)


def name_route(scope: Scope, base: str) -> str:
    """The template of the route that answered, such as ``/v1/models/{handle}``."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return NO_ROUTE
    return str(path) if path.startswith(f"{base}/") else f"{base}{path}"
