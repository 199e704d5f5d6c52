"""The turn to make a run: one has it at a time, and where the server sent one away the next keeps its distance."""

import asyncio
import time

from flows.api.turn import Turn


async def test_turn_is_had_by_one_at_a_time() -> None:
    turn, inside, seen = Turn(), 0, []

    async def take() -> None:
        nonlocal inside
        async with turn.take():
            inside += 1
            seen.append(inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(take() for _ in range(5)))

    assert [1] * 5 == seen


async def test_next_turn_keeps_its_distance_once_one_was_sent_away() -> None:
    turn = Turn(distance_seconds=0.2)
    async with turn.take():
        turn.keep_distance()
    ended = time.monotonic()
    async with turn.take():
        begun = time.monotonic()

    assert begun - ended >= 0.19


async def test_next_turn_begins_at_once_where_none_was_sent_away() -> None:
    turn = Turn(distance_seconds=3600)
    for _ in range(2):
        async with turn.take():
            pass
