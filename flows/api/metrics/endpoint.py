"""Serves Prometheus metrics at a port of their own, without a key; they are not part of the API's contract."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server

from engine.settings import Settings
from flows.api.metrics.prefect_gauges import PrefectGauges
from flows.api.metrics.store_gauges import StoreGauges
from flows.api.middleware.request_metrics import RequestMetrics
from flows.api.prefect_runs.client import TIMEOUT_SECONDS
from flows.api.server import describe_refusal, write_address

CHOSEN_BY = "EXEMPLARS_METRICS_PORT (0 takes a free port) and EXEMPLARS_API_HOST"


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
        raise describe_refusal(error, host, port, CHOSEN_BY) from error
    # Made here, since a thread does not see settings that hold in this context alone.
    client = get_client(sync_client=True, httpx_settings={"timeout": TIMEOUT_SECONDS})
    gauges = StoreGauges(settings.locate(settings.samples_uri)), PrefectGauges(client)
    for each in gauges:
        registry.register(each)
        each.start()
    try:
        yield RequestMetrics(registry), f"{write_address(host, server.server_port)}/metrics"
    finally:
        for each in gauges:
            each.stop()
        server.shutdown()
        server.server_close()
