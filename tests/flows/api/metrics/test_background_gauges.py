"""A look in the background that fails is not the last."""

import threading
from collections.abc import Iterable

import pytest
from fakes.waiting import wait_until
from prometheus_client import Metric

from flows.api.metrics.background_gauges import BackgroundGauges


class Failing(BackgroundGauges):
    pause_seconds = 0.01

    def __init__(self) -> None:
        super().__init__()
        self.looked = threading.Semaphore(0)

    def refresh(self) -> None:
        self.looked.release()
        raise RuntimeError("unforeseen")

    def collect(self) -> Iterable[Metric]:
        return []


def test_look_that_fails_is_logged_and_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    gauges = Failing()
    gauges.start()
    try:
        assert all(gauges.looked.acquire(timeout=60) for _ in range(2))
        wait_until(lambda: gauges.is_up is False)
    finally:
        gauges.stop()

    assert "Failing could not be refreshed" in caplog.text
