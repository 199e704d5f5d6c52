"""Serves Prometheus metrics at a port of their own, without a key; they are not part of the API's contract."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server

from engine.settings import Settings
from flows.api.metrics.store_gauges import StoreGauges
from flows.api.middleware.request_metrics import RequestMetrics
from flows.api.server import describe_refusal, write_address


@contextmanager
def serve_metrics(settings: Settings) -> Iterator[tuple[RequestMetrics | None, str]]:
    """Serves metrics while the block runs, and yields the request metrics to record and the address of the endpoint.

    Yields None and an empty address if ``EXEMPLARS_METRICS_PORT`` is not set. prometheus_client answers each scrape in
    a thread, not in the API's event loop: metrics can be scraped even if that loop hangs.

    Raises:
        AddressError: the address is in use, not of this machine, or malformed.
    """
    host, port = settings.api_host, settings.metrics_port
    if port is None:
        yield None, ""
        return
    registry = CollectorRegistry()
    for make in (ProcessCollector, PlatformCollector, GCCollector):
        make(registry=registry)
    try:
        server, _ = start_http_server(port, host.strip("[]"), registry)
    except OSError as error:
        raise describe_refusal(error, host, port, "EXEMPLARS_METRICS_PORT") from error
    stock = StoreGauges(settings.locate(settings.samples_uri))
    registry.register(stock)
    stock.start()
    try:
        yield RequestMetrics(registry), f"{write_address(host, server.server_port)}/metrics"
    finally:
        stock.stop()
        server.shutdown()
        server.server_close()
