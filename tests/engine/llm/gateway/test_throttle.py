"""The throttle follows the provider's capacity, and waits for a silent provider; the tests control the clock."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from engine.errors import ProviderDownError, ProviderUnavailableError, RateLimitedError
from engine.llm.gateway.throttle import FIRST_PATIENCE_SECONDS, MAX_PAUSE_SECONDS, SILENT_CALLS, AdaptiveThrottle

DOWN = ProviderUnavailableError("openai/test does not answer")
LIMITED = RateLimitedError("openai/test limits the rate")
REPLY_SECONDS, REFUSAL_SECONDS = 0.2, 0.02


@dataclass
class Clock:
    """A clock that the test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def make_throttle(most: int = 32, patience: float = 300.0) -> tuple[AdaptiveThrottle, Clock, list[str]]:
    """One that was answered before."""
    clock, notices = Clock(), list[str]()
    throttle = AdaptiveThrottle(most, patience, notices.append, clock)
    throttle.answered = True
    return throttle, clock, notices


@dataclass
class Simulated:
    """Calls of a constant number of workers, in simulated time, against a provider that is a function of the moment."""

    throttle: AdaptiveThrottle
    clock: Clock
    answers: Callable[[float], bool]
    refused: int = 0
    replies: int = 0

    def run(self, until: float) -> None:
        ends: list[tuple[float, int, bool]] = []
        numbers = itertools.count()
        while self.clock.now < until:
            while len(ends) < int(self.throttle.window):
                answered = self.answers(self.clock.now)
                seconds = REPLY_SECONDS if answered else REFUSAL_SECONDS
                heapq.heappush(ends, (self.clock.now + seconds, next(numbers), answered))
            self.clock.now, number, answered = heapq.heappop(ends)
            if answered:
                self.replies += 1
                self.throttle.take_reply(REPLY_SECONDS)
            else:
                self.refused += 1
                self.throttle.take_failure(LIMITED, number)


def limit_rate(a_second: float) -> Callable[[float], bool]:
    """A provider that takes so many calls a second, in a bucket of half a second's."""
    state = [a_second / 2, 0.0]

    def answer(now: float) -> bool:
        state[0] = min(a_second / 2, state[0] + (now - state[1]) * a_second)
        state[1] = now
        if state[0] < 1:
            return False
        state[0] -= 1
        return True

    return answer


def test_one_refusal_in_five_at_any_load_does_not_slow_down() -> None:
    throttle, clock, _ = make_throttle()
    chance = random.Random(1)
    simulated = Simulated(throttle, clock, lambda _: chance.random() > 0.2)
    simulated.run(60)

    assert throttle.window > 24
    # 32 workers, with 98 % of their time in replies of .2 s.
    assert simulated.replies > 0.85 * 60 / REPLY_SECONDS * 32 * 0.98


def test_limit_of_the_provider_is_found_and_used() -> None:
    throttle, clock, _ = make_throttle()
    simulated = Simulated(throttle, clock, limit_rate(40))
    simulated.run(60)

    assert 0.9 < simulated.replies / (60 * 40) <= 1.02
    # Without a pace 32 workers that come back at once are sent away forty times as often.
    assert simulated.refused < simulated.replies
    assert throttle.window < 16


def test_window_comes_back_when_the_limit_is_gone() -> None:
    throttle, clock, _ = make_throttle()
    slow = limit_rate(20)
    simulated = Simulated(throttle, clock, lambda now: slow(now) if now < 30 else True)
    simulated.run(30)
    narrow = throttle.window
    simulated.run(60)

    assert narrow < 10
    assert 32 == round(throttle.window)


def test_replies_that_get_slow_narrow_the_window_and_those_that_differ_as_texts_do_leave_it() -> None:
    slow, usual = make_throttle()[0], make_throttle()[0]
    source = random.Random(2)
    for _ in range(200):
        slow.take_reply(0.5)
    for _ in range(64):
        slow.take_reply(5.0)
    for _ in range(500):
        usual.take_reply(source.lognormvariate(1.0, 0.5))

    assert slow.window < 24
    assert 32 == usual.window


async def hold_a_place(throttle: AdaptiveThrottle, log: list[str], name: str, failures: int = 0) -> None:
    async with throttle.turn(failures):
        log.append(name)
        await asyncio.sleep(0)


async def test_no_more_calls_are_in_flight_than_the_window_has_and_those_that_failed_go_first() -> None:
    throttle, _, _ = make_throttle(most=1)
    log: list[str] = []
    await asyncio.gather(
        *(hold_a_place(throttle, log, name, failures) for name, failures in [("a", 0), ("b", 0), ("c", 1), ("d", 2)])
    )

    assert ["a", "d", "c", "b"] == log
    assert 0 == throttle.in_flight


async def test_cancelled_call_leaves_its_place_to_the_next() -> None:
    throttle, _, _ = make_throttle(most=1)
    log: list[str] = []
    async with throttle.turn():
        waiting = [asyncio.create_task(hold_a_place(throttle, log, name)) for name in ("a", "b")]
        await asyncio.sleep(0)
        waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await hold_a_place(throttle, log, "c")

    assert (["b", "c"], 0) == (log, throttle.in_flight)


def fail_all(throttle: AdaptiveThrottle, error: ProviderUnavailableError | RateLimitedError = DOWN) -> None:
    for number in range(int(throttle.window) // 2):
        throttle.take_failure(error, number)


def test_circuit_opens_where_nothing_is_answered_and_closes_with_the_first_reply() -> None:
    throttle, _, notices = make_throttle()
    fail_all(throttle)
    was_open = throttle.is_open
    throttle.take_reply(0.2)

    assert (True, False) == (was_open, throttle.is_open)
    assert notices[0].startswith("openai/test does not answer. No other call")
    assert "for 300 s at most" in notices[0]
    assert ["The provider answers again"] == notices[1:]


@pytest.mark.parametrize(("calls", "reply_after"), [(1, 10 * SILENT_CALLS), (10 * SILENT_CALLS, 5)])
def test_neither_one_call_that_fails_again_and_again_nor_replies_in_between_open_it(
    calls: int, reply_after: int
) -> None:
    throttle, _, _ = make_throttle()
    for number in range(1, 10 * SILENT_CALLS):
        throttle.take_failure(DOWN, number % calls)
        if number % reply_after == 0:
            throttle.take_reply(0.2)

    assert not throttle.is_open


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_while_it_is_open_one_call_at_a_time_tries_after_a_pause() -> None:
    throttle, clock, _ = make_throttle()
    fail_all(throttle)
    log: list[str] = []
    held = asyncio.Event()

    async def hold() -> None:
        async with throttle.turn():
            log.append("in")
            await held.wait()

    waiting = [asyncio.create_task(hold()) for _ in range(3)]
    await settle()
    counts = [len(log)]
    clock.now = 1.0
    waiting.append(asyncio.create_task(hold()))
    await settle()
    counts.append(len(log))
    throttle.take_reply(0.2)
    await settle()
    held.set()
    await asyncio.gather(*waiting)

    assert [0, 1, 4] == [*counts, len(log)]


async def test_pause_doubles_up_to_its_bound_and_those_in_flight_do_not_count() -> None:
    throttle, clock, _ = make_throttle(patience=1000)
    fail_all(throttle)
    for number in range(20):
        throttle.take_failure(DOWN, f"in flight when it opened {number}")
    pauses = []
    for number in range(7):
        begun = clock.now
        while not throttle._count_places():
            clock.now += 0.5
        pauses.append(clock.now - begun)
        throttle.take_failure(DOWN, number)

    assert [1, 2, 4, 8, 16, MAX_PAUSE_SECONDS, MAX_PAUSE_SECONDS] == pauses


async def test_pause_is_what_the_provider_asks_for() -> None:
    throttle, clock, _ = make_throttle()
    fail_all(throttle, RateLimitedError("slow down", 12.0))
    clock.now = 11.9
    early = throttle._count_places()
    clock.now = 12.0

    assert (0, 1) == (early, throttle._count_places())


async def test_provider_that_stays_away_is_down_for_all_who_wait() -> None:
    throttle, clock, _ = make_throttle(patience=20)
    fail_all(throttle)
    log: list[str] = []
    waiting = [asyncio.create_task(hold_a_place(throttle, log, str(number))) for number in range(3)]
    await asyncio.sleep(0)
    clock.now = 15.0
    with pytest.raises(ProviderDownError, match=r"answered nothing for 17 s.*EXEMPLARS_PATIENCE_SECONDS"):
        fail_until_down(throttle, clock)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [ProviderDownError] * 3 == [type(outcome) for outcome in outcomes]
    assert [] == log


def fail_until_down(throttle: AdaptiveThrottle, clock: Clock) -> None:
    """Tries at one moment, a pause apart from the one before, until the pause to come would be too long."""
    for number in range(10):
        throttle.take_failure(DOWN, f"trying {number}")
        clock.now = throttle._resume_at


NOBODY = ProviderUnavailableError("no connection", no_connection=True)


@pytest.mark.parametrize(("error", "patient"), [(NOBODY, False), (DOWN, True), (LIMITED, True)])
def test_before_anything_was_answered_only_who_is_there_is_waited_for(
    error: ProviderUnavailableError | RateLimitedError, patient: bool
) -> None:
    throttle, clock, _ = make_throttle()
    throttle.answered = False
    fail_all(throttle, error)
    clock.now = FIRST_PATIENCE_SECONDS
    if patient:
        throttle.take_failure(error, "trying")
        assert throttle.is_open
        return
    with pytest.raises(ProviderDownError):
        throttle.take_failure(error, "trying")
