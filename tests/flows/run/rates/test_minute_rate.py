"""A bucket: what lets in at most so much in a minute, kept in Prefect's server for all who ask."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse

from flows.run.rates.minute_rate import WINDOW_SECONDS, MinuteRate, Rate

LOGGER = logging.getLogger(__name__)
NAME = "tests:bucket"
RATES = st.builds(
    Rate,
    name=st.just(NAME),
    setting=st.just("RATE"),
    per_minute=st.integers(1, 10_000_000),
    grain=st.sampled_from([100, 1000]),
    counts_tokens=st.booleans(),
)
LIMIT = GlobalConcurrencyLimitResponse(name=NAME, limit=1, active_slots=0)


@given(RATES, st.integers(1, 1_000_000))
def test_full_bucket_and_what_decays_in_the_window_are_the_rate_and_tell_it(rate: Rate, largest: int) -> None:
    largest = min(largest, rate.most_at_once)
    room, decay = rate.shape(largest)
    shaped = LIMIT.model_copy(update={"limit": room, "slot_decay_per_second": decay})

    assert largest * rate.grain <= room - rate.saved_slots <= 2 * largest * rate.grain
    assert decay > 0
    assert rate.per_minute + 1 == pytest.approx((room + decay * WINDOW_SECONDS) / rate.grain)
    assert rate.per_minute == rate.read_per_minute(shaped)
    assert 0 == rate.read_per_minute(shaped.model_copy(update={"active": False}))


def make_rate(per_minute: int) -> Rate:
    return Rate(NAME, "EXEMPLARS_TESTS_PER_MINUTE", per_minute, 100, counts_tokens=True)


@pytest.fixture
async def client(prefect_server: str) -> AsyncIterator[PrefectClient]:
    async with PrefectClient(prefect_server) as opened:
        if await find(opened):
            await opened.delete_global_concurrency_limit_by_name(NAME)
        yield opened


async def find(client: PrefectClient) -> dict[str, Any] | None:
    """The limit as Prefect has it."""
    listed = await client.read_global_concurrency_limits(limit=200)
    return next((limit.model_dump() for limit in listed if limit.name == NAME), None)


async def read(client: PrefectClient) -> dict[str, Any]:
    found = await find(client)
    assert found is not None
    return found


async def change(client: PrefectClient, **fields: object) -> None:
    await client.update_global_concurrency_limit(NAME, GlobalConcurrencyLimitUpdate.model_validate(fields))


async def count_free(rate: MinuteRate, largest: int = 1) -> int:
    """The units that may be taken now."""
    return (await rate.count_free(largest))[0]


@pytest.mark.parametrize("counts_tokens", [True, False])
async def test_what_is_taken_is_not_free_and_tokens_that_are_put_back_are(
    client: PrefectClient, caplog: pytest.LogCaptureFixture, counts_tokens: bool
) -> None:
    caplog.set_level(logging.INFO)
    rate = MinuteRate(client, replace(make_rate(60), counts_tokens=counts_tokens), LOGGER)

    assert (3, 0.0) == await rate.count_free(1)
    assert f"Made Prefect's limit {NAME}: 60 a minute" in caplog.messages
    assert [True, False, False] == [await rate.take(units) for units in (3, 1, 1000)]
    assert 3 == rate.in_hand
    free, seconds = await rate.count_free(1)
    assert (0, True) == (free, 0 < seconds < 2)
    await rate.give_back()
    assert (0, 3 if counts_tokens else 0) == (rate.in_hand, await count_free(rate))
    await client.delete_global_concurrency_limit_by_name(NAME)
    assert not await rate.take(1)


async def test_what_is_left_to_others_is_not_free(client: PrefectClient) -> None:
    rate, backfill = (MinuteRate(client, make_rate(600), LOGGER, yields) for yields in (False, True))

    assert (21, 11) == (await count_free(rate), await count_free(backfill))
    await rate.take(12)
    assert 8 < await count_free(rate)
    assert 0 == await count_free(backfill)


async def test_run_that_begins_sets_its_rate_and_who_ran_before_follows_and_both_say_so(
    client: PrefectClient, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = MinuteRate(client, make_rate(60), LOGGER), MinuteRate(client, make_rate(600), LOGGER)
    await first.count_free(1)
    # What the two rates let in together must not be more than the higher one does: it begins full.
    assert 0 == await count_free(second)
    assert 2100 == (await read(client))["limit"]
    assert f"Prefect's limit {NAME} was 60 a minute and is now 600, by EXEMPLARS_TESTS_PER_MINUTE" in caplog.messages
    caplog.clear()
    await first.count_free(1)
    await first.count_free(1)

    assert [
        f"EXEMPLARS_TESTS_PER_MINUTE=60 is not what holds: another run has set {NAME} to 600 a minute"
    ] == caplog.messages
    assert 600 == first.rate.per_minute


async def test_larger_call_shapes_the_limit_anew_and_nobody_with_less_comes_before_it(client: PrefectClient) -> None:
    small, large = (MinuteRate(client, make_rate(6000), LOGGER) for _ in range(2))
    assert 0 < await count_free(small, 10)
    assert 0 == await count_free(large, 1000)
    room = (await read(client))["limit"]
    await change(client, active_slots=room - 500 * 100)

    # 500 tokens are free, more than a small call needs.
    free = await large.count_free(1000), await small.count_free(10)
    assert [0, 0] == [units for units, _ in free]
    assert 0 < free[1][1] == pytest.approx(free[0][1], abs=2)
    await change(client, active_slots=0)
    assert 1000 < await count_free(small, 10)
