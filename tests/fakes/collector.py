"""A collector: a real OTLP/HTTP receiver on loopback, which decodes what it is sent and can be told to fail."""

import asyncio
import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fakes.provider import serve_answers
from fastapi import Request, Response
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
        return sum(point.count for point in self.find(name, **attributes))

    def find(self, name: str, /, **attributes: str) -> list[Point]:
        def fits(point: Point) -> bool:
            found = {(attribute.rpartition(".")[2], text) for attribute, text in point.attributes.items()}
            return found.issuperset(attributes.items())

        return [point for point in self.points if point.name == name and fits(point)]

    def take(self, body: bytes) -> None:
        request = ExportMetricsServiceRequest.FromString(body)
        for sent in request.resource_metrics:
            self.resources.append(_read_attributes(sent.resource.attributes))
            for scope in sent.scope_metrics:
                for metric in scope.metrics:
                    self.points += list(_read_points(metric))


@contextmanager
def serve_collector() -> Iterator[Collector]:
    collector = Collector()

    async def take(request: Request) -> Response:
        body = await request.body()
        collector.paths.append(request.url.path)
        await asyncio.sleep(collector.hold_seconds)
        if collector.status == 200:
            collector.take(gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body)
        return Response(status_code=collector.status)

    with serve_answers(take) as collector.url:
        yield collector


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
