"""What it costs to tell what goes on: microseconds a call, without a collector, with one, and with JSON lines."""

import asyncio
import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.client import FakeClient, labelled
from fakes.collector import serve_collector

from engine.domain.progress import CallAttempted, Event
from engine.errors import RateLimitedError
from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.llm.request import Prompt, Reply, Request
from engine.settings import CollectorSettings, RepliesPlace
from engine.system.log_context import log_context
from flows.observability.json_logs import JsonConsole
from flows.observability.metrics import RunMeter

CALLS = 3000
# litellm's own part of a call (docs/decisions/000-measured.md).
LITELLM_MICROSECONDS = 3600.0
REPLY = Reply("one", "stop", prompt_tokens=400, completion_tokens=80, cost_usd=0.001)
TRIED = CallAttempted("openai/test", "chat", 0.2, 0.0, 400, 80, 0.001)


@dataclass
class Listener:
    """Where the events of a run go."""

    take: Callable[[Event], None]

    def report(self, event: Event) -> None:
        """Takes one."""
        self.take(event)


def measure(work: Callable[[], object], times: int = 20_000) -> float:
    """CPU microseconds a time, the least of three."""
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - begun) / times)
    return best * 1e6


async def ask_all(folder: Path, take: Callable[[Event], None]) -> float:
    """CPU microseconds a call through a gateway whose model answers at once, all it does itself included."""
    gateway = ModelGateway(FakeClient(lambda _: REPLY), RepliesPlace(str(folder)), Listener(take), RunBudget(32))
    async with gateway.keeping("plan"):
        begun = time.process_time()
        async with asyncio.TaskGroup() as group:
            for number in range(CALLS):
                request = Request(Prompt(f"Write {number}."), 100, 0.8)
                group.create_task(gateway.complete(labelled(f"clarity/{number}/positive/0", request)))
    return (time.process_time() - begun) / CALLS * 1e6


@contextmanager
def speak_json() -> Iterator[logging.Logger]:
    logger = logging.getLogger("exemplars.calls")
    handler = JsonConsole(io.StringIO())
    logger.addHandler(handler)
    level, logger.level = logger.level, logging.INFO
    logger.propagate = False
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = level, True


def test_telling_costs_a_small_part_of_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RateLimitedError("slower")
    with serve_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        from flows.observability.otlp import Sink

        sink = Sink(CollectorSettings())
        meter = RunMeter(sink.instruments)
        on = measure(lambda: meter.report(TRIED))
        whole_off = min(asyncio.run(ask_all(tmp_path / f"off{number}", lambda _: None)) for number in range(3))
        whole_on = min(asyncio.run(ask_all(tmp_path / f"on{number}", meter.report)) for number in range(3))
        begun = time.perf_counter()
        asyncio.run(sink.flush())
        flushed = time.perf_counter() - begun
        sink.close()

    def bind() -> None:
        with log_context(call="clarity/0/positive/0"):
            pass

    bound = measure(bind)
    with speak_json() as logger, log_context(run_id="1", handle="u22a8.test", trait="clarity", cell="clarity/0"):
        line = measure(lambda: logger.info("Try %d failed: %s", 1, error, extra={"attempt": 1, "model": "m"}), 2000)
    print(
        f"\na call's context {bound:.1f} µs; a try as metrics {on:.0f} µs; a JSON line {line:.0f} µs; flush "
        f"{flushed * 1000:.0f} ms\na whole call without its model: {whole_off:.0f} µs without a collector, "
        f"{whole_on:.0f} µs with one; litellm takes {LITELLM_MICROSECONDS:.0f} µs of it besides"
    )

    assert on + bound < LITELLM_MICROSECONDS / 10
