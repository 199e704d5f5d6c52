"""Serves Prometheus metrics at a port of their own, without a key; they are not part of the API's contract."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from engine.settings import Settings
from flows.api.metrics.store_gauges import StoreGauges
from flows.api.middleware.request_metrics import RequestMetrics
from flows.api.server import open_listener, write_address

PATH = "/metrics"
# A client that sends or reads nothing for so long is disconnected.
IDLE_SECONDS = 10.0


@contextmanager
def serve_metrics(settings: Settings) -> Iterator[tuple[RequestMetrics | None, str]]:
    """Serves metrics while the block runs, and yields the request metrics to record and the address of the endpoint.

    Yields None and an empty address if ``EXEMPLARS_METRICS_PORT`` is not set.

    Raises:
        AddressError: the address is in use, not of this machine, or malformed.
    """
    if settings.metrics_port is None:
        yield None, ""
        return
    registry = CollectorRegistry()
    for make in (ProcessCollector, PlatformCollector, GCCollector):
        make(registry=registry)
    stock = StoreGauges(settings.locate(settings.samples_uri))
    registry.register(stock)
    server = _Server(settings.api_host, settings.metrics_port, registry)
    # In a thread, not in the API's event loop: metrics can be scraped even if that loop hangs.
    threading.Thread(target=server.serve_forever, name="exemplars-metrics", daemon=True).start()
    stock.start()
    try:
        yield RequestMetrics(registry), f"{write_address(settings.api_host, server.server_port)}{PATH}"
    finally:
        stock.stop()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """An HTTP server with one thread for each scrape."""

    daemon_threads = True

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.registry = registry
        listener = open_listener(host, port, "EXEMPLARS_METRICS_PORT")
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_port = listener.getsockname()[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Answers a scrape in the format that it accepts; any other path is 404."""
        if urlsplit(self.path).path != PATH:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", f"Only {PATH} is served here.\n".encode())
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        self._answer(HTTPStatus.OK, content_type, encode(self.server.registry))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Logs nothing: a scrape every few seconds is not worth a line."""

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
