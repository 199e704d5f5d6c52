"""The forecast of a run: what its events add up to, and how long all that is to come takes."""

from engine.domain.definition import Pole
from engine.domain.progress import (
    CallBegun,
    CallEnded,
    CallsPlanned,
    CandidatesCounted,
    EstimateReady,
    Event,
    ExpectedCalls,
    KeptCounted,
    LastCall,
)
from engine.estimate.forecast import RunForecast

# Of 120 texts, each 2 s of the clock, and of 300 votes, each half a second.
MADE = EstimateReady("", ExpectedCalls(120, 240.0), ExpectedCalls(300, 150.0))
POLE: tuple[str, Pole] = ("clarity", "positive")


def follow(*events: Event, seconds: float = 0.0) -> RunForecast:
    """The forecast after events that come so many seconds after one another."""
    forecast = RunForecast()
    for number, event in enumerate(events):
        forecast.take(event, seconds * number)
    return forecast


def call(key: int, judges: bool = False) -> list[Event]:
    """The events of a call that is alone in flight."""
    return [CallBegun(str(key), judges), CallEnded(10, key=str(key), judges=judges)]


def make_calls(count: int) -> list[Event]:
    return [event for key in range(count) for event in call(key)]


def test_votes_and_further_rounds_count_from_the_start() -> None:
    made: list[Event] = [MADE, CallsPlanned(96), *make_calls(95)]
    voted = [*made, *call(95), CallsPlanned(200, judges=True), *call(0, judges=True)]

    assert "0 of about 420 calls, 0 in flight, about 6 min left" == follow(MADE).describe()
    # 95 calls took 2 s each, as was foreseen: 25 more of them take 50 s, and the votes 150.
    assert "95 of about 420 calls, 0 in flight, 5 tokens/s, about 3 min left" == follow(*made, seconds=2.0).describe()
    assert follow(*voted).describe().startswith("97 of about 420 calls, ")
    # Nothing falls and grows again: what is known by then is less than was foreseen.
    assert follow(*voted[:-2]).planned == follow(*voted).planned
    assert "97 of 97 calls, 0 in flight" == follow(*voted, LastCall()).describe().replace(", 0 tokens/s", "")


def test_model_that_has_not_replied_yet_is_waited_for() -> None:
    first: list[Event] = [CallsPlanned(8), CallBegun("0")]

    assert "0 of 8 calls, 1 in flight, the model reads the prompts" == follow(*first).describe()
    assert "reads" not in follow(CallsPlanned(8), *call(0), CallBegun("1")).describe()


def test_time_left_is_told_where_it_is_known() -> None:
    few: list[Event] = [EstimateReady("", ExpectedCalls(20)), CallsPlanned(20), *make_calls(7)]
    more: list[Event] = [EstimateReady("", ExpectedCalls(20)), CallsPlanned(20), *make_calls(10)]
    slow: list[Event] = [EstimateReady("", ExpectedCalls(120, 240.0)), *make_calls(40)]
    reused: list[Event] = [slow[0], *[CallEnded(10, reused=True)] * 40]

    assert [] == follow(*few, seconds=1.0).describe_left()
    assert ["about 10 s left"] == follow(*more, seconds=1.0).describe_left()
    # Twice as slow as in the last run, of which 24 calls are believed: (24 × 2 + 40 × 4) / 64 for each of 80.
    assert ["about 4 min left"] == follow(*slow, seconds=4.0).describe_left()
    # What is taken from kept replies says nothing of how long the others take.
    assert ["about 3 min left"] == follow(*reused).describe_left()


def test_texts_that_stand_are_told_until_it_is_chosen_among_them() -> None:
    stood: list[Event] = [CallsPlanned(8), CandidatesCounted({POLE: 2}), CandidatesCounted({POLE: 1})]
    chosen = follow(*stood, KeptCounted({POLE: 1}, {POLE: 8}))

    assert 3 == follow(*stood).candidates[POLE]
    assert "0 of 8 calls, 0 in flight, 3 candidates passed the rules" == follow(*stood).describe()
    assert "0 of 8 calls, 0 in flight" == chosen.describe()


def test_share_only_grows_and_stays_below_one() -> None:
    events: list[Event] = [CallsPlanned(1), CallEnded(), CallsPlanned(300), *[CallEnded()] * 400, LastCall()]
    shares = [follow(*events[:count]).share for count in range(len(events) + 1)]

    assert sorted(shares) == shares
    assert (0.0, 0.9) == (shares[0], shares[-1])
