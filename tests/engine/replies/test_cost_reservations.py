"""What calls may cost is on the store before they begin, and a store that is away lets them begin all the same."""

import asyncio

import pytest

from engine.replies.cost_reservations import AHEAD_CALLS, STEP_CALLS, CostReservations
from engine.replies.segments import Amount


def make_allowance() -> tuple[CostReservations, list[None]]:
    woken: list[None] = []
    return CostReservations(lambda: woken.append(None)), woken


def say_all(reservations: CostReservations) -> Amount:
    """What the thread would say, said."""
    wanted = reservations.find_wanted()
    assert wanted
    reservations.record(wanted)
    return wanted


async def begin(reservations: CostReservations, *bounds_usd: float) -> "list[asyncio.Task[None]]":
    tasks = [asyncio.create_task(reservations.cover(usd)) for usd in bounds_usd]
    await asyncio.sleep(0.01)
    return tasks


async def test_nothing_is_said_before_a_call() -> None:
    reservations, woken = make_allowance()

    assert (None, False, []) == (reservations.find_wanted(), reservations.has_reserved, woken)


async def test_first_call_waits_until_it_is_said_and_others_do_not() -> None:
    reservations, woken = make_allowance()
    [first] = await begin(reservations, 0.5)
    assert (False, [None]) == (first.done(), woken)
    assert Amount(1 + STEP_CALLS, 0.5 * (1 + STEP_CALLS)) == say_all(reservations)
    await first
    others = await begin(reservations, *[0.5] * STEP_CALLS)

    assert all(other.done() for other in others)


async def test_it_is_raised_before_it_is_used_up() -> None:
    reservations, woken = make_allowance()
    await begin(reservations, 0.5)
    say_all(reservations)
    await begin(reservations, *[0.5] * (STEP_CALLS - AHEAD_CALLS))
    assert (1, None) == (len(woken), reservations.find_wanted())
    [one_more] = await begin(reservations, 0.5)

    assert (True, 2) == (one_more.done(), len(woken))
    begun = 2 + STEP_CALLS - AHEAD_CALLS
    assert Amount(begun + STEP_CALLS, 0.5 * (begun + STEP_CALLS)) == say_all(reservations)


async def test_call_that_costs_more_than_is_said_waits() -> None:
    reservations, _ = make_allowance()
    await begin(reservations, 0.5)
    say_all(reservations)
    small, large = await begin(reservations, 0.5, 1000.0)
    assert (True, False) == (small.done(), large.done())
    assert Amount(3 + STEP_CALLS, 1001.0 + 1000.0 * STEP_CALLS) == say_all(reservations)
    await large


async def test_what_came_after_is_not_covered_by_what_was_said_before() -> None:
    reservations, _ = make_allowance()
    [first] = await begin(reservations, 0.5)
    said = reservations.find_wanted()
    assert said
    [second] = await begin(reservations, 100.0)
    reservations.record(said)
    await first
    await asyncio.sleep(0.01)

    assert not second.done()
    say_all(reservations)
    await second


async def test_nothing_waits_for_a_store_that_is_away_and_all_is_said_when_it_is_back() -> None:
    reservations, _ = make_allowance()
    waiting = await begin(reservations, 0.5)
    reservations.waive()
    await waiting[0]
    await asyncio.gather(*(reservations.cover(0.5) for _ in range(99)))
    assert not reservations.has_reserved
    assert Amount(100 + STEP_CALLS, 50 + 0.5 * STEP_CALLS) == say_all(reservations)
    [late] = await begin(reservations, 1000.0)

    assert not late.done()
    reservations.waive()
    await late


async def test_call_that_is_given_up_is_not_counted() -> None:
    reservations, _ = make_allowance()
    waiting = await begin(reservations, 0.5, 0.25)
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]

    assert Amount(1 + STEP_CALLS, 0.25 + 0.5 * STEP_CALLS) == say_all(reservations)
    await waiting[1]
