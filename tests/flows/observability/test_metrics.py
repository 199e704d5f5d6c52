"""What a run sees arrives at a real OTLP receiver, agrees with what the provider saw, and never holds a run up."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.collector import DELTA, Collector, serve_collector
from fakes.provider import COMPLETION_TOKENS, PROMPT_TOKENS, Behaviour, Provider
from fakes.workspace import Workspace, make_workspace, read_kept, read_rejected
from prefect.logging.configuration import setup_logging

from engine.domain.progress import CallAttempted, WaitedForTurn
from engine.errors import QuotaError
from engine.settings import CollectorSettings
from flows.observability.otlp import FLUSH_SECONDS, Sink
from flows.observability.run_outcome import find_sink

pytestmark = pytest.mark.slow

MODEL = "openai/test"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Where this process sends its metrics while the test runs."""
    # Prefect's first set-up of logs, else at the import of the first flow, takes pytest's handler from the root logger.
    setup_logging()
    with serve_collector() as served:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", served.url)
        find_sink.cache_clear()
        yield served
        if sink := find_sink():
            sink._provider.shutdown(timeout_millis=2000)
        find_sink.cache_clear()


@pytest.fixture
def priced(tmp_path: Path, provider: Provider) -> Workspace:
    """A workspace whose synth model costs 1 USD for a million tokens in, and 10 for a million out."""
    return make_workspace(tmp_path / "priced", provider, EXEMPLARS_SYNTH_PRICE="1/10")


def test_run_tells_what_its_provider_saw_by_few_attributes_in_documented_units(
    prefect_server: str, priced: Workspace, provider: Provider, collector: Collector
) -> None:
    provider.behaviour = Behaviour(limited=0.2, malformed=0.1)
    priced.run()
    [folder] = priced.list_sets()
    rejected = read_rejected(folder)
    calls, answers = provider.calls.total(), provider.answers.total()
    cost = answers * (PROMPT_TOKENS * 1 + COMPLETION_TOKENS * 10) / 1e6

    assert answers == collector.sum("exemplars.calls", outcome="answered", model=MODEL)
    assert 0 < calls - answers == collector.sum("exemplars.calls", outcome="failed", model=MODEL)
    assert calls == collector.count("gen_ai.client.operation.duration", model=MODEL)
    assert calls - answers == collector.count("gen_ai.client.operation.duration", type="RateLimitedError")
    assert answers * PROMPT_TOKENS == collector.sum("gen_ai.client.token.usage", type="input")
    assert answers * COMPLETION_TOKENS == collector.sum("gen_ai.client.token.usage", type="output")
    assert cost == pytest.approx(collector.sum("exemplars.cost", model=MODEL))
    assert len(read_kept(folder)) == collector.sum("exemplars.kept", outcome="attached", effort="low")
    assert rejected["reason"].value_counts().to_dict() == {
        reason: collector.sum("exemplars.rejected", reason=reason) for reason in set(rejected["reason"])
    }
    assert 1 == collector.count("exemplars.run.duration", outcome="attached", synth_type="from_traits", effort="low")
    assert 1 == collector.count("exemplars.run.start_delay", effort="low") + collector.count(
        "exemplars.run.start_delay", effort="unknown"
    )
    assert calls == collector.count("exemplars.call.wait", waits_for="turn")
    assert calls == collector.count("exemplars.call.wait", waits_for="permit")

    # Attributes have few values, and units are as they are documented.
    attributes = {name for point in collector.points for name in point.attributes}

    assert {
        *("gen_ai.request.model", "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.token.type", "error.type"),
        *("exemplars.synth_type", "exemplars.effort", "exemplars.outcome", "exemplars.reason", "exemplars.waits_for"),
    } == attributes
    assert {
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.token.usage": "{token}",
        "exemplars.calls": "{call}",
        "exemplars.cost": "USD",
        "exemplars.call.wait": "s",
        "exemplars.kept": "{exemplar}",
        "exemplars.rejected": "{exemplar}",
        "exemplars.run.duration": "s",
        "exemplars.run.start_delay": "s",
    } == {point.name: point.unit for point in collector.points}
    assert {DELTA} == {point.temporality for point in collector.points}
    assert {"exemplars"} == {resource["service.name"] for resource in collector.resources}
    assert {"/v1/metrics"} == set(collector.paths)


def test_second_run_of_a_process_adds_to_the_first_and_counts_kept_replies_apart(
    prefect_server: str, priced: Workspace, provider: Provider, collector: Collector
) -> None:
    provider.behaviour = Behaviour(style="same")
    priced.write_effort(exemplars_per_pole=2, top_up_rounds=1)
    for _ in range(2):
        with pytest.raises(QuotaError):
            priced.run()
    answers = provider.answers.total()

    assert answers == collector.sum("exemplars.calls", outcome="answered")
    assert answers == collector.sum("exemplars.calls", outcome="reused")
    assert 2 == collector.count("exemplars.run.duration", outcome="rejected", type="QuotaError")
    assert 0 == collector.count("exemplars.run.duration", outcome="attached")


def test_collector_that_hangs_costs_no_run_and_is_waited_for_once(
    prefect_server: str, priced: Workspace, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    priced.write_effort(exemplars_per_pole=1)
    collector.hold_seconds = 600.0
    status = priced.run().status
    sink = find_sink()
    assert sink is not None
    sink.instruments.calls.add(1)
    begun = time.monotonic()
    asyncio.run(sink.flush())

    assert "attached" == status
    assert time.monotonic() - begun < FLUSH_SECONDS
    assert f"The collector of metrics does not answer within {FLUSH_SECONDS:g} s; the run goes on" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("METRICS_ENDPOINT", "http://127.0.0.1:1/v1/metrics?api_key=hunter2-hunter2", "metrics batch"),
        ("HEADERS", "authorization hunter2", "Header format invalid"),
    ],
)
async def test_key_in_the_collectors_address_or_header_is_in_no_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    sink = Sink(CollectorSettings())
    sink.instruments.calls.add(1)
    await sink.flush()
    sink._provider.shutdown(timeout_millis=2000)

    assert said in caplog.text
    assert "hunter2" not in caplog.text


async def test_call_that_is_refused_and_waiting_are_counted_apart(collector: Collector) -> None:
    sink = Sink(CollectorSettings())
    meter = sink.begin_run()
    meter.report(WaitedForTurn("embedded", 0.25))
    meter.report(CallAttempted(MODEL, "chat", 2.5, 0.5, cost_usd=0.5, refused=True))
    await sink.flush()
    sink._provider.shutdown(timeout_millis=2000)

    assert 1 == collector.sum("exemplars.calls", outcome="refused", model=MODEL)
    assert [0.25, 0.5] == [collector.sum("exemplars.call.wait", waits_for=what) for what in ("turn", "permit")]
    assert 0.5 == collector.sum("exemplars.cost")


@pytest.mark.parametrize(
    ("variables", "sends"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1/v1/metrics"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_METRICS_EXPORTER": "none"}, False),
    ],
)
def test_metrics_are_sent_where_opentelemetry_says_so(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sends: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert sends == CollectorSettings().sends
