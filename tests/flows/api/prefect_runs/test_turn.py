"""The turn to make a run: one has it at a time, and where the server sent one away the next keeps its distance."""

import asyncio
import time

from flows.api.prefect_runs.client import Turn


async def test_turn_is_had_by_one_at_a_time() -> None:
    turn, inside, seen = Turn(), 0, []

    async def take() -> None:
        nonlocal inside
        async with turn.take(), turn.make():
            inside += 1
            seen.append(inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(take() for _ in range(5)))

    assert [1] * 5 == seen


async def test_next_run_keeps_its_distance_once_one_was_sent_away() -> None:
    turn = Turn(distance_seconds=0.2)
    async with turn.make():
        turn.keep_distance()
    ended = time.monotonic()
    async with turn.make():
        begun = time.monotonic()

    assert begun - ended >= 0.19


async def test_next_run_is_made_at_once_where_none_was_sent_away() -> None:
    turn = Turn(distance_seconds=3600)
    for _ in range(2):
        async with turn.take(), turn.make():
            pass


async def test_whoever_only_looks_keeps_no_distance() -> None:
    turn = Turn(distance_seconds=3600)
    turn.keep_distance()
    for _ in range(2):
        async with turn.take():
            pass
