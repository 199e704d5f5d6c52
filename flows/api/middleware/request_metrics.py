"""Prometheus metrics of requests, which the ``Envelope`` middleware records and ``flows/api/metrics.py`` serves."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import Scope

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
BASE = "/v1"


class RequestMetrics:
    """The metrics of requests. Labels have few values: a route is its template, and an unknown method is OTHER."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "exemplars_http_requests",
            "Requests answered, by method, route and status; status gone where the client went away first.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "exemplars_http_request_seconds",
            "How long a request took until its answer was sent.",
            ["method", "route"],
            buckets=SECONDS,
            registry=registry,
        )

    def record(self, scope: Scope, status: int | None, seconds: float) -> None:
        """Counts a request that is over; ``status`` is None where the client went away first."""
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        route = _name_route(scope)
        self.requests.labels(method, route, "gone" if status is None else str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)


def _name_route(scope: Scope) -> str:
    """The template of the route that answered, such as ``/v1/models/{handle}``; ``none`` where none was reached."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return "none"
    return str(path) if path.startswith(f"{BASE}/") else f"{BASE}{path}"
