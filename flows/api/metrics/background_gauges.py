"""Prometheus gauges that a background thread keeps fresh, so that a scrape waits for nothing."""

import logging
import threading
from abc import abstractmethod

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

LOGGER = logging.getLogger("flows.api")


class BackgroundGauges(Collector):
    """Gauges whose values ``refresh`` looks up, over and over, between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self.is_up: bool | None = None
        self._stopping = threading.Event()

    @abstractmethod
    def refresh(self) -> None:
        """Looks once."""

    @property
    @abstractmethod
    def pause_seconds(self) -> float:
        """The pause until the next look."""

    def start(self) -> None:
        """Starts looking in a background thread."""
        threading.Thread(target=self._look_on, name=type(self).__name__, daemon=True).start()

    def stop(self) -> None:
        """Stops looking; a look that is under way ends with the process."""
        self._stopping.set()

    def describe(self) -> list[GaugeMetricFamily]:
        """Empty: otherwise the registry would call ``collect`` on registration, before there is a value."""
        return []

    def _look_on(self) -> None:
        while not self._stopping.is_set():
            try:
                self.refresh()
            except Exception:
                self.is_up = False
                LOGGER.exception("%s could not be refreshed", type(self).__name__)
            self._stopping.wait(self.pause_seconds)
