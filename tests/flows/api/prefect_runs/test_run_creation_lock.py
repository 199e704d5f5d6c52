"""The lock for creating runs: one holder at a time, and a minimum distance after the server refused a writer."""

import asyncio
import time

from flows.api.prefect_runs.creation_lock import RunCreationLock


async def test_lock_has_one_holder_at_a_time_and_no_distance_where_none_was_sent_away() -> None:
    lock, inside, seen = RunCreationLock(spacing_seconds=3600), 0, []

    async def acquire() -> None:
        nonlocal inside
        async with lock.acquire(), lock.spaced():
            inside += 1
            seen.append(inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(acquire() for _ in range(5)))

    assert [1] * 5 == seen


async def test_next_run_keeps_its_distance_once_one_was_sent_away() -> None:
    lock = RunCreationLock(spacing_seconds=0.2)
    async with lock.spaced():
        lock.enable_spacing()
    ended = time.monotonic()
    async with lock.spaced():
        begun = time.monotonic()

    assert begun - ended >= 0.19


async def test_whoever_only_looks_keeps_no_distance() -> None:
    lock = RunCreationLock(spacing_seconds=3600)
    lock.enable_spacing()
    for _ in range(2):
        async with lock.acquire():
            pass
