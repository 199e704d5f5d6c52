"""Collecting: what waits is sent, what came is kept, and the runs none of whose lines is out go on."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound

from engine.llm.batches.collector import Pass, collect
from engine.llm.batches.outbox import BatchRow, Outbox
from engine.llm.batches.wire import Place, Wire
from engine.llm.batches.wires import open_wire
from engine.settings import Settings
from engine.text.formatting import count_noun

DEPLOYMENT = "batches/collect"
# How often a process that waits itself looks whether there is something to do.
LOOK_SECONDS = 15.0
HOURS = 24
MAY_END = "This command may be ended and started again: it goes on where it was"
CLOCK: Callable[[], float] = time.time


async def collect_once(settings: Settings, quiet_seconds: float = 0.0) -> Pass:
    """One pass of the collector, which sends, asks and keeps whatever is due.

    Args:
        quiet_seconds: as for ``collect``.

    Raises:
        StoreError: the outbox cannot be read or written.
    """
    with Outbox(settings.replies_place) as outbox:
        return await collect(outbox, partial(open_own_wire, settings), CLOCK, quiet_seconds)


def open_own_wire(settings: Settings, place: Place) -> Wire:
    """The wire of a place, with the key that this process has for it; raises as ``open_wire``."""
    judges = place.settings == "EXEMPLARS_JUDGE"
    secret = (settings.judge_api_key or settings.synth_api_key) if judges else settings.synth_api_key
    return open_wire(place, secret.get_secret_value() if secret else None)


async def collect_here(settings: Settings, run_ids: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Collects in this process until some of these runs have no line out, or wait no more; which.

    Args:
        say: told in sentences how far it is, when that changes.
    """
    said: tuple[str, ...] = ()
    while True:
        told = await collect_once(settings)
        ready, out = await asyncio.to_thread(_look, settings, run_ids)
        if ready:
            return ready
        if (now := (*told.said, out)) != said:
            said = now
            for line in said:
                say(line)
        await asyncio.sleep(LOOK_SECONDS)


def describe_waiting(settings: Settings, plan_id: str) -> str:
    """What a run of a plan waits for."""
    with Outbox(settings.replies_place) as outbox:
        counts, sent_at = outbox.count_lines(plan_id), outbox.find_sent(plan_id)
    if sent_at is None:
        return f"{count_noun(counts['waits'] + counts['sent'], 'call')} will go to the provider in its next batch"
    rest = f", and {counts['waits']:,} will go in its next one" if counts["waits"] else ""
    return (
        f"{count_noun(counts['sent'], 'call')} went to the provider in a batch at {_format(sent_at)}, which is "
        f"answered by {_format(sent_at + HOURS * 3600)}{rest}"
    )


async def keep_collecting(client: PrefectClient, on: bool = True) -> None:
    """Switches the schedule of the collector on, or off; nothing where it has no deployment."""
    with suppress(ObjectNotFound, httpx.HTTPError):
        deployment = await client.read_deployment_by_name(DEPLOYMENT)
        for schedule in deployment.schedules:
            if schedule.active != on:
                await client.update_deployment_schedule(deployment.id, schedule.id, active=on)


def _look(settings: Settings, run_ids: Sequence[str]) -> tuple[list[str], str]:
    """Which of these runs can go on, and what is out meanwhile."""
    with Outbox(settings.replies_place) as outbox:
        waiting, ready = ({run.run_id for run in runs} for runs in (outbox.find_runs(), outbox.list_ready()))
        batches = [batch for batch in outbox.list_batches() if batch.state != "over"]
    sent, others = ([batch for batch in batches if (batch.until is not None) == is_sent] for is_sent in (True, False))
    told = []
    if sent:
        until = _format(max(batch.until or 0.0 for batch in sent))
        counts = "; ".join(batch.said for batch in sent if batch.said)
        told.append(f"{_count(sent)} at the provider, answered by {until}{f' ({counts})' if counts else ''}")
    if others or not sent:
        told.append(f"{_count(others)} on the way to the provider" if others else "Calls wait to be sent")
    return [run_id for run_id in run_ids if run_id in ready or run_id not in waiting], "; ".join(told)


def _count(batches: Sequence[BatchRow]) -> str:
    calls = count_noun(sum(batch.lines for batch in batches), "call")
    return f"{calls} in {count_noun(len(batches), 'batch', 'batches')}"


def _format(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
