"""The collector: it sends waiting calls, keeps received replies, and finds the runs that can resume."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound

from engine.llm.batches.account import BatchAccount
from engine.llm.batches.collector import CollectResult, collect
from engine.llm.batches.outbox import DAY_SECONDS, BatchRun, Outbox
from engine.llm.batches.provider import BatchProvider
from engine.llm.batches.providers import open_provider
from engine.settings import Settings
from engine.text.formatting import count_noun

P = ParamSpec("P")
T = TypeVar("T")

DEPLOYMENT = "batches/collect"
# Interval between passes in a process that waits itself.
LOOK_SECONDS = 15.0
MAY_END = "This command may be ended and started again: it resumes where it stopped"
CLOCK: Callable[[], float] = time.time


async def ask_outbox(
    settings: Settings, ask: Callable[Concatenate[Outbox, P], T], *values: P.args, **named: P.kwargs
) -> T:
    """Call a method of the outbox in a thread and return its result."""

    def open_and_ask() -> T:
        with Outbox(settings.replies_place) as outbox:
            return ask(outbox, *values, **named)

    return await asyncio.to_thread(open_and_ask)


async def collect_once(settings: Settings, sends: bool = True) -> CollectResult:
    """Run one pass of the collector, as ``collect`` does, with the API keys of this process.

    Raises:
        StoreError: the outbox cannot be read or written.
    """
    with Outbox(settings.replies_place) as outbox:
        return await collect(outbox, partial(_open_provider, settings), CLOCK, sends)


async def collect_here(settings: Settings, run_ids: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Collect in this process until some of these runs have no open line or no longer wait; return their ids.

    Args:
        say: called with sentences about the progress when it changes.
    """
    shown: tuple[str, ...] = ()
    while True:
        result = await collect_once(settings)
        runs, batches = await ask_outbox(settings, lambda outbox: (outbox.find_runs(), outbox.list_batches()))
        waiting = {run.run_id: run for run in runs if not run.is_ready}
        if ready := [run_id for run_id in run_ids if run_id not in waiting]:
            return ready
        states = "; ".join(batch.said for batch in batches if batch.state != "over" and batch.said)
        summary = describe_waiting([waiting[run_id] for run_id in run_ids])
        lines = (*result.problems, f"{summary} ({states})" if states else summary)
        if lines != shown:
            shown = lines
            for line in lines:
                say(line)
        await asyncio.sleep(LOOK_SECONDS)


def describe_waiting(runs: Sequence[BatchRun]) -> str:
    """Return a sentence about the calls that runs wait for."""
    waits, sent = sum(run.waits for run in runs), sum(run.sent for run in runs)
    sent_at = max((run.sent_at for run in runs if run.sent_at), default=None)
    if sent_at is None:
        return f"{count_noun(waits + sent, 'call')} will go to the provider in its next batch"
    rest = f", and {waits:,} will go in its next one" if waits else ""
    return (
        f"{count_noun(sent, 'call')} went to the provider in a batch at {format_time(sent_at)} UTC, which is answered "
        f"by {format_time(sent_at + DAY_SECONDS)} UTC{rest}"
    )


def format_time(moment: float | None) -> str:
    """Return a moment in UTC to the minute, or a dash for None."""
    return "–" if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}"


async def keep_collecting(client: PrefectClient, on: bool = True) -> None:
    """Switch the collector's schedule on or off; do nothing if it has no deployment."""
    with suppress(ObjectNotFound, httpx.HTTPError):
        deployment = await client.read_deployment_by_name(DEPLOYMENT)
        for schedule in deployment.schedules:
            if schedule.active != on:
                await client.update_deployment_schedule(deployment.id, schedule.id, active=on)


def _open_provider(settings: Settings, account: BatchAccount) -> BatchProvider:
    is_judge = account.settings == "EXEMPLARS_JUDGE"
    secret = (settings.judge_api_key or settings.synth_api_key) if is_judge else settings.synth_api_key
    return open_provider(account, secret.get_secret_value() if secret else None)
