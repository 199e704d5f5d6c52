"""The events of sample sets: those that flow runs of this process emit, and those that a server has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakes.site import CLIENT
from fakes.waiting import wait_until
from prefect.events.clients import AssertingEventsClient
from prefect.events.schemas.events import Event
from prefect.events.worker import EventsWorker

from flows.run.set_events import EVENTS


@contextmanager
def capture_set_events() -> Iterator[Callable[[], list[Event]]]:
    """Yields what lists those of flow runs so far, taken by Prefect's own client for tests in place of a server."""
    AssertingEventsClient.reset()
    EventsWorker.set_client_override(AssertingEventsClient)

    def list_events() -> list[Event]:
        EventsWorker.instance().drain()
        taken = [event for client in AssertingEventsClient.all for event in client.events]
        return [event for event in taken if event.event.startswith(EVENTS)]

    try:
        yield list_events
    finally:
        EventsWorker.set_client_override(None)
        AssertingEventsClient.reset()


def read_set_events(server: str, store: Path | str, count: int) -> list[dict[str, Any]]:
    """The first so many events of the sets of a store that a server has, in their order; it takes its time for them."""

    def read() -> list[dict[str, Any]]:
        asked = {"filter": {"event": {"prefix": [EVENTS]}}, "limit": 50}
        found = CLIENT.post(f"{server}/events/filter", json=asked).json()["events"]
        own = [event for event in found if event["payload"]["path"].startswith(f"{store}/")]
        return sorted(own, key=lambda event: str(event["occurred"]))

    wait_until(lambda: len(read()) >= count, 30, "the events are there")
    return read()
