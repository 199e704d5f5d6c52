"""The rate limiter: calls of any number of processes keep to one rate, whatever becomes of them or of Prefect's server.

``LONG=1 pytest tests/flows/run/test_rate_limiter.py`` has minutes at full use.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from fakes.callers import count_most, gather, start_callers
from fakes.go_between import GoBetween, serve_go_between
from fakes.long import LONG, longer
from fakes.waiting import wait_meanwhile, wait_until
from hypothesis import given
from hypothesis import strategies as st
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.errors import DefinitionError, OrchestratorError
from engine.llm.gateway.metered import RateLimiter
from engine.settings import Settings
from flows.run.rate_limiter import REQUESTS, SLACK_SECONDS, TOKENS, WINDOW_SECONDS, Rate, list_rates, open_rate_limiter

LOGGER = logging.getLogger(__name__)


@asynccontextmanager
async def open_at(api: str, **settings: float) -> AsyncIterator[RateLimiter]:
    """A rate limiter at a Prefect server."""
    with temporary_settings({PREFECT_API_URL: api}):
        async with open_rate_limiter(Settings.model_validate(settings), LOGGER) as rate_limiter:
            yield rate_limiter


@pytest.fixture
def api(prefect_server: str) -> str:
    """A server on which nobody has called yet."""

    for name in (REQUESTS, TOKENS):
        wait_until(partial(delete_limit, prefect_server, name), what=f"{name} is gone")
    return prefect_server


@pytest.fixture
def between(api: str) -> Iterator[GoBetween]:
    with serve_go_between(api) as served:
        yield served


def delete_limit(api: str, name: str) -> bool:
    """Whether there is none any more: on SQLite a writer may be sent away, and comes again."""
    return httpx.delete(f"{api}/v2/concurrency_limits/{name}").status_code in (204, 404)


def read_limit(api: str, name: str) -> dict[str, Any]:
    """The limit as Prefect has it; nothing where there is none."""
    answer = httpx.get(f"{api}/v2/concurrency_limits/{name}")
    return dict(answer.json()) if answer.status_code == httpx.codes.OK else {}


def find_slots(api: str, name: str) -> int | None:
    """The slots in use; None where there is no such limit."""
    return read_limit(api, name).get("active_slots")


async def test_without_a_setting_everybody_is_let_in() -> None:
    # No server listens there.
    async with open_at("http://127.0.0.1:9/api") as rate_limiter:
        assert type(rate_limiter) is RateLimiter


@pytest.mark.parametrize("rate", [1, 6000])
async def test_call_is_let_in_at_any_rate_and_tokens_do_not_count_without_a_limit_of_them(api: str, rate: int) -> None:
    async with asyncio.timeout(60), open_at(api, requests_per_minute=rate) as rate_limiter:
        await rate_limiter.acquire(10_000_000)
        await rate_limiter.return_unused(10_000_000)

    assert find_slots(api, TOKENS) is None


@pytest.mark.slow
@longer
def test_processes_keep_to_one_rate_and_use_it(api: str) -> None:
    callers, seconds, per_minute = (32, 190, 60) if LONG else (8, 7, 240)
    times = gather([start_callers(api, callers, seconds, requests_per_minute=str(per_minute)) for _ in range(2)])

    assert count_most(times) <= per_minute + 1
    # A full limit and what decays: the promise for 60 s, told for fewer.
    [rate] = list_rates(Settings(requests_per_minute=per_minute))
    room, decay = rate.shape(1)
    assert count_most(times, 5) <= (room + decay * (5 + SLACK_SECONDS)) / rate.grain
    assert len(times) > (times[-1] - times[0]) * per_minute / 60 * (0.8 if LONG else 0)


async def test_cancelled_caller_leaves_its_place_to_the_next(api: str, between: GoBetween) -> None:
    async with open_at(between.url, requests_per_minute=60) as rate_limiter:
        for _ in range(3):
            await rate_limiter.acquire(1)
        waiting = [asyncio.create_task(rate_limiter.acquire(1)) for _ in range(6)]
        seen = len(between.seen)
        await wait_meanwhile(lambda: len(between.seen) > seen)
        for task in waiting[:5]:
            task.cancel()
        async with asyncio.timeout(60):
            await waiting[5]
        in_use = find_slots(api, REQUESTS)

    # The five have cost nothing: of nine permits' slots at most four's are in use.
    [rate] = list_rates(Settings(requests_per_minute=60))
    assert in_use in range(4 * rate.grain + 1)
    assert all(task.cancelled() for task in waiting[:5])


async def test_call_that_never_fits_is_refused_and_the_others_are_let_in(api: str) -> None:
    async with open_at(api, tokens_per_minute=500) as rate_limiter:
        small = asyncio.create_task(rate_limiter.acquire(10))
        with pytest.raises(DefinitionError) as caught:
            await rate_limiter.acquire(1480)
        async with asyncio.timeout(60):
            await small

    assert (
        "environment: 1 mistake.\n  environment: EXEMPLARS_TOKENS_PER_MINUTE: found 500; allowed: 1974 or more: one "
        "call may use 1,480 tokens, and takes at most 75% of a minute's."
    ) == str(caught.value)


async def test_calls_wait_for_both_limits_in_their_order_and_tokens_are_kept_by_nobody_who_has_no_request(
    api: str,
) -> None:
    order: list[int] = []

    async def call(rate_limiter: RateLimiter, number: int) -> None:
        await rate_limiter.acquire(100)
        order.append(number)

    async with open_at(api, requests_per_minute=60, tokens_per_minute=60_000) as rate_limiter:
        for _ in range(3):
            await rate_limiter.acquire(100)
        async with asyncio.timeout(60):
            await asyncio.gather(*(call(rate_limiter, number) for number in range(3)))

    assert [0, 1, 2] == order
    # A thousand tokens decay in a second: were those of a call without a request kept, these would be in use.
    assert find_slots(api, TOKENS) in range(100 * 100 + 1)


async def test_server_that_is_away_for_a_while_is_waited_for(
    between: GoBetween, caplog: pytest.LogCaptureFixture
) -> None:
    between.status = 503
    async with open_at(between.url, requests_per_minute=60, patience_seconds=60) as rate_limiter:
        calling = asyncio.create_task(rate_limiter.acquire(1))
        await wait_meanwhile(lambda: caplog.messages)
        assert not calling.done()
        between.status = None
        async with asyncio.timeout(60):
            await calling

    assert caplog.messages[0].startswith("Calls wait up to 60 s for Prefect's server: Server error '503")


async def test_server_that_stays_away_lets_nobody_in(between: GoBetween) -> None:
    between.status = 503
    async with open_at(between.url, requests_per_minute=60, patience_seconds=0.5) as rate_limiter:
        waiting = [asyncio.create_task(rate_limiter.acquire(1)) for _ in range(3)]
        async with asyncio.timeout(60):
            ended = await asyncio.gather(*waiting, return_exceptions=True)

    assert [OrchestratorError] * 3 == [type(error) for error in ended]
    assert "the replies are kept" in str(ended[0])


async def test_permit_that_comes_late_is_not_used(between: GoBetween) -> None:
    between.late_seconds = 2.2
    async with open_at(between.url, requests_per_minute=60, patience_seconds=0) as rate_limiter:
        async with asyncio.timeout(60):
            with pytest.raises(OrchestratorError, match="may not be used any more"):
                await rate_limiter.acquire(1)


async def test_run_that_begins_sets_its_rate_and_a_larger_call_its_room(
    api: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_at(api, tokens_per_minute=60_000) as first, open_at(api, tokens_per_minute=600_000) as second:
        async with asyncio.timeout(60):
            await first.acquire(10)
            await second.acquire(10)
            await second.acquire(30_000)
            await first.acquire(10)

    found = read_limit(api, TOKENS)
    [rate] = list_rates(Settings(tokens_per_minute=600_000))
    room, decay = rate.shape(30_000)
    assert (room, int(decay)) == (found["limit"], int(found["slot_decay_per_second"]))
    assert (
        f"Prefect's limit {TOKENS} was 60000 a minute and is now 600000, by EXEMPLARS_TOKENS_PER_MINUTE"
        in caplog.messages
    )


async def test_tokens_that_a_call_did_not_use_are_there_for_others_and_a_limit_that_was_deleted_is_made_anew(
    api: str,
) -> None:
    async with open_at(api, tokens_per_minute=60_000) as rate_limiter:
        await rate_limiter.acquire(2000)
        await rate_limiter.return_unused(1990)
        await wait_meanwhile(lambda: (find_slots(api, TOKENS) or 0) <= 10 * 100)
        delete_limit(api, TOKENS)
        await rate_limiter.acquire(10)

    assert find_slots(api, TOKENS) is not None


@given(st.integers(1, 10_000_000), st.integers(1, 1_000_000), st.sampled_from([100, 1000]))
def test_full_limit_and_what_decays_in_the_window_are_the_rate(per_minute: int, largest: int, grain: int) -> None:
    rate = Rate(TOKENS, "RATE", per_minute, grain)
    room, decay = rate.shape(min(largest, rate.most_at_once))

    assert min(largest, rate.most_at_once) * grain <= room
    assert decay > 0
    assert per_minute + 1 == pytest.approx((room + decay * WINDOW_SECONDS) / grain)
