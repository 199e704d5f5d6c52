"""The pace follows what the provider bears, and waits for one that answers nobody; all by a clock of the test's own."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from engine.errors import ProviderDownError, ProviderUnavailableError, RateLimitedError
from engine.gateway.throttle import FIRST_PATIENCE_SECONDS, MAX_PAUSE_SECONDS, SILENT_CALLS, Pace

DOWN = ProviderUnavailableError("openai/test does not answer")
LIMITED = RateLimitedError("openai/test limits the rate")


@dataclass
class Clock:
    """A clock that the test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def make_pace(most: int = 32, patience: float = 300.0) -> tuple[Pace, Clock, list[str]]:
    clock, notices = Clock(), list[str]()
    return Pace(most, patience, notices.append, clock), clock, notices


@dataclass
class Simulated:
    """Calls of a constant number of workers, in simulated time, against a provider that is a function of the moment."""

    pace: Pace
    clock: Clock
    answers: Callable[[float], bool]
    seconds: float = 0.2
    refused_seconds: float = 0.02
    began: list[float] = field(default_factory=list)
    replies: int = 0

    def run(self, until: float) -> None:
        """Keeps as many calls in flight as the window has room for."""
        ends: list[tuple[float, int, bool]] = []
        numbers = itertools.count()
        while self.clock.now < until:
            while len(ends) < int(self.pace.window):
                answered = self.answers(self.clock.now)
                took = self.seconds if answered else self.refused_seconds
                self.began.append(self.clock.now)
                heapq.heappush(ends, (self.clock.now + took, next(numbers), answered))
            self.clock.now, number, answered = heapq.heappop(ends)
            if answered:
                self.replies += 1
                self.pace.take_reply(self.seconds)
            else:
                self.pace.take_failure(LIMITED, number)


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
    pace, clock, _ = make_pace()
    chance = random.Random(1)
    simulated = Simulated(pace, clock, lambda _: chance.random() > 0.2)
    simulated.run(60)

    assert pace.window > 24
    # 32 workers, of whose time 98 % is in replies of .2 s.
    assert simulated.replies > 0.85 * 60 / 0.2 * 32 * 0.98


def test_limit_of_the_provider_is_found_and_used() -> None:
    pace, clock, _ = make_pace()
    simulated = Simulated(pace, clock, limit_rate(40))
    simulated.run(60)
    sent_away = len(simulated.began) - simulated.replies

    assert 0.9 < simulated.replies / (60 * 40) <= 1.02
    # Without a pace 32 workers that come back at once are sent away forty times as often.
    assert sent_away < len(simulated.began) / 2
    assert pace.window < 16


def test_window_comes_back_when_the_limit_is_gone() -> None:
    pace, clock, _ = make_pace()
    slow = limit_rate(20)
    simulated = Simulated(pace, clock, lambda now: slow(now) if now < 30 else True)
    simulated.run(30)
    narrow = pace.window
    simulated.run(60)

    assert narrow < 10
    assert 32 == round(pace.window)


def test_replies_that_get_slow_narrow_the_window() -> None:
    pace, _, _ = make_pace()
    for _ in range(200):
        pace.take_reply(0.5)
    for _ in range(64):
        pace.take_reply(5.0)

    assert pace.window < 24


def test_replies_that_differ_as_texts_do_leave_it_as_it_is() -> None:
    pace, _, _ = make_pace()
    source = random.Random(2)
    for _ in range(500):
        pace.take_reply(source.lognormvariate(1.0, 0.5))

    assert 32 == pace.window


async def take_turn(pace: Pace, log: list[str], name: str, failures: int = 0) -> None:
    async with pace.turn(failures):
        log.append(name)
        await asyncio.sleep(0)


async def test_no_more_calls_are_in_flight_than_the_window_has_and_those_that_failed_go_first() -> None:
    pace, _, _ = make_pace(most=1)
    log: list[str] = []
    await asyncio.gather(
        *(take_turn(pace, log, name, failures) for name, failures in [("a", 0), ("b", 0), ("c", 1), ("d", 2)])
    )

    assert ["a", "d", "c", "b"] == log
    assert 0 == pace.in_flight


async def test_cancelled_call_leaves_its_place_to_the_next() -> None:
    pace, _, _ = make_pace(most=1)
    log: list[str] = []
    async with pace.turn():
        waiting = [asyncio.create_task(take_turn(pace, log, name)) for name in ("a", "b")]
        await asyncio.sleep(0)
        waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await take_turn(pace, log, "c")

    assert (["b", "c"], 0) == (log, pace.in_flight)


def fail_all(pace: Pace, error: ProviderUnavailableError | RateLimitedError = DOWN, answered: bool = True) -> None:
    for number in range(int(pace.window) // 2):
        pace.take_failure(error, number, answered)


def test_circuit_opens_where_nothing_is_answered_and_closes_with_the_first_reply() -> None:
    pace, _, notices = make_pace()
    fail_all(pace)
    was_open = pace.is_open
    pace.take_reply(0.2)

    assert (True, False) == (was_open, pace.is_open)
    assert ["openai/test does not answer", "The provider answers again"] == [
        notice.partition(". Nothing else")[0] for notice in notices
    ]
    assert "for 300 s at most" in notices[0]


def test_one_call_that_fails_again_and_again_opens_nothing() -> None:
    pace, _, _ = make_pace()
    for _ in range(10 * SILENT_CALLS):
        pace.take_failure(DOWN, "the same")

    assert not pace.is_open


def test_replies_in_between_keep_it_closed() -> None:
    pace, _, _ = make_pace()
    for number in range(10 * SILENT_CALLS):
        pace.take_failure(DOWN, number)
        if number % 5 == 4:
            pace.take_reply(0.2)

    assert not pace.is_open


async def test_while_it_is_open_one_call_at_a_time_tries_after_a_pause() -> None:
    pace, clock, _ = make_pace()
    fail_all(pace)
    log: list[str] = []
    held = asyncio.Event()

    async def hold() -> None:
        async with pace.turn():
            log.append("in")
            await held.wait()

    waiting = [asyncio.create_task(hold()) for _ in range(3)]
    await asyncio.sleep(0.01)
    before = len(log)
    clock.now = 1.0
    waiting.append(asyncio.create_task(hold()))
    await asyncio.sleep(0.01)
    trying = len(log)
    pace.take_reply(0.2)
    await asyncio.sleep(0.01)
    held.set()
    await asyncio.gather(*waiting)

    assert (0, 1, 4) == (before, trying, len(log))


async def test_pause_doubles_up_to_its_bound_and_those_in_flight_do_not_count() -> None:
    pace, clock, _ = make_pace(patience=1000)
    fail_all(pace)
    for number in range(20):
        pace.take_failure(DOWN, f"in flight when it opened {number}")
    pauses = []
    for number in range(7):
        begun = clock.now
        while not pace._count_places():
            clock.now += 0.5
        pauses.append(clock.now - begun)
        pace.take_failure(DOWN, number)

    assert [1, 2, 4, 8, 16, MAX_PAUSE_SECONDS, MAX_PAUSE_SECONDS] == pauses


async def test_pause_is_what_the_provider_asks_for() -> None:
    pace, clock, _ = make_pace()
    fail_all(pace, RateLimitedError("slow down", 12.0))
    clock.now = 11.9
    early = pace._count_places()
    clock.now = 12.0

    assert (0, 1) == (early, pace._count_places())


async def test_provider_that_stays_away_is_down_for_all_who_wait() -> None:
    pace, clock, _ = make_pace(patience=20)
    fail_all(pace)
    log: list[str] = []
    waiting = [asyncio.create_task(take_turn(pace, log, str(number))) for number in range(3)]
    await asyncio.sleep(0)
    clock.now = 15.0
    with pytest.raises(ProviderDownError, match=r"answered nothing for 17 s.*EXEMPLARS_PATIENCE_SECONDS"):
        fail_until_down(pace, clock)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [ProviderDownError] * 3 == [type(outcome) for outcome in outcomes]
    assert [] == log


def fail_until_down(pace: Pace, clock: Clock) -> None:
    """Tries at one moment, a pause apart from the one before, until the pause to come would be too long."""
    for number in range(10):
        pace.take_failure(DOWN, f"trying {number}")
        clock.now = pace._resume_at


NOBODY = ProviderUnavailableError("no connection", nobody_there=True)


@pytest.mark.parametrize(("error", "patient"), [(NOBODY, False), (DOWN, True), (LIMITED, True)])
def test_before_anything_was_answered_only_who_is_there_is_waited_for(
    error: ProviderUnavailableError | RateLimitedError, patient: bool
) -> None:
    pace, clock, _ = make_pace()
    fail_all(pace, error, answered=False)
    clock.now = FIRST_PATIENCE_SECONDS
    if patient:
        pace.take_failure(error, "trying", answered=False)
        assert pace.is_open
        return
    with pytest.raises(ProviderDownError):
        pace.take_failure(error, "trying", answered=False)
