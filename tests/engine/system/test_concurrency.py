"""Tasks end together, and one to its end; what a line is about never leaks into what runs beside it."""

import asyncio

import pytest

from engine.system.concurrency import (
    InTurn,
    add_log_context,
    cancel_once,
    gather_or_cancel,
    log_context,
    read_log_context,
)


async def fail(error: Exception) -> None:
    await asyncio.sleep(0)
    raise error


async def test_results_come_in_order_and_the_first_error_as_itself() -> None:
    async def wait(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    assert [0.02, 0.0] == await gather_or_cancel([wait(0.02), wait(0.0)])
    assert 0.0 == await cancel_once(wait(0.0))
    for failing in (gather_or_cancel([wait(60), fail(KeyError("one"))]), cancel_once(fail(KeyError("one")))):
        with pytest.raises(KeyError):
            await failing


@pytest.mark.parametrize("everywhere", [False, True])
async def test_one_that_is_cancelled_from_all_sides_is_so_once_and_comes_to_its_end(everywhere: bool) -> None:
    seen = []

    async def close_slowly() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0.01)
            seen.append("closed")
            raise

    before = asyncio.all_tasks()
    closing = [cancel_once(close_slowly()) for _ in range(3)]
    asking = asyncio.create_task(gather_or_cancel(closing))
    await asyncio.sleep(0.01)
    every = asyncio.all_tasks() - before
    doomed = every if everywhere else {asking}
    for task in doomed:
        task.cancel()
    await asyncio.wait(every)

    assert asking.cancelled()
    assert 3 * ["cancelled"] + 3 * ["closed"] == seen


def test_fields_add_up_inside_and_what_is_noted_lasts_until_its_block_ends() -> None:
    with log_context(run_id="1", trait="clarity"):
        with log_context(trait="safety", cell="7"):
            add_log_context(effort="low")
            inside = dict(read_log_context())
        after = dict(read_log_context())

    assert {"run_id": "1", "trait": "safety", "cell": "7", "effort": "low"} == inside
    assert ({"run_id": "1", "trait": "clarity"}, {}) == (after, read_log_context())


async def test_numbered_callers_go_on_in_their_order_whichever_comes_first() -> None:
    in_turn, gone = InTurn(), list[int]()

    async def go(number: int, after: float) -> None:
        await asyncio.sleep(after)
        async with in_turn.turn(number):
            await asyncio.sleep(0)
            gone.append(number)

    await gather_or_cancel(go(number, after) for number, after in ((2, 0), (0, 0.02), (1, 0.01)))

    assert [0, 1, 2] == gone
