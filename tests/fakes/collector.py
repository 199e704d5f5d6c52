"""A collector: a real OTLP/HTTP receiver on loopback, which decodes what it is sent and can be told to fail."""

import gzip
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

DELTA = 1


@dataclass(frozen=True)
class Point:
    """One data point: of a histogram ``value`` is the sum and ``count`` how many, of a counter both are its value."""

    name: str
    unit: str
    attributes: Mapping[str, str]
    value: float
    count: int
    temporality: int


@dataclass
class Collector:
    """What came in. ``status`` answers each request; ``hold_seconds`` is how long it takes to."""

    url: str = ""
    status: int = 200
    hold_seconds: float = 0.0
    points: list[Point] = field(default_factory=list)
    resources: list[Mapping[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def sum(self, name: str, /, **attributes: str) -> float:
        """The sum over all points of a metric that have these attributes, by the last part of their name."""
        return sum(point.value for point in self.find(name, **attributes))

    def count(self, name: str, /, **attributes: str) -> int:
        """How many values those points stand for."""
        return sum(point.count for point in self.find(name, **attributes))

    def find(self, name: str, /, **attributes: str) -> list[Point]:
        """The points of a metric that have these attributes."""
        return [point for point in self.points if point.name == name and _fits(point, attributes)]

    def take(self, body: bytes) -> None:
        """Takes one request."""
        request = ExportMetricsServiceRequest.FromString(body)
        for sent in request.resource_metrics:
            self.resources.append(_read_attributes(sent.resource.attributes))
            for scope in sent.scope_metrics:
                for metric in scope.metrics:
                    self.points += list(_read_points(metric))


@contextmanager
def serve_collector() -> Iterator[Collector]:
    """A collector that answers well until it is told otherwise."""
    collector = Collector()

    class Handler(_Handler):
        owner = collector

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.owner.paths.append(self.path)
        time.sleep(self.owner.hold_seconds)
        if self.owner.status == 200:
            self.owner.take(body)
        self.send_response(self.owner.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _read_points(metric: Any) -> Iterator[Point]:
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    for point in data.data_points:
        attributes = _read_attributes(point.attributes)
        if kind == "histogram":
            value, count = point.sum, point.count
        else:
            value = getattr(point, point.WhichOneof("value"))
            count = round(value)
        yield Point(metric.name, metric.unit, attributes, value, count, data.aggregation_temporality)


def _read_attributes(attributes: Any) -> dict[str, str]:
    return {item.key: item.value.string_value for item in attributes}


def _fits(point: Point, attributes: Mapping[str, str]) -> bool:
    found = {(name.rpartition(".")[2], text) for name, text in point.attributes.items()}
    return found.issuperset(attributes.items())
