"""Progress: what the events of a run add up to."""

from engine.domain.model import Pole
from engine.domain.progress import CallEnded, CallsPlanned, Event, KeptCounted, ProgressFraction


def add_up(*events: Event) -> float:
    """The share after the events."""
    share = ProgressFraction()
    for event in events:
        share.take(event)
    return share.value


def test_share_is_that_of_the_calls_where_each_cell_is_asked_for_and_judged() -> None:
    ten: list[Event] = [CallsPlanned(10), *[CallEnded()] * 10]

    assert [0.0, 0.225, 0.45, 0.9] == [add_up(*ten[:1]), add_up(*ten[:6]), add_up(*ten), add_up(*ten, *ten)]
    met: dict[tuple[str, Pole], int] = {("clarity", "positive"): 8, ("clarity", "negative"): 9}

    assert [0.9, 0.0] == [add_up(CallsPlanned(10), KeptCounted(met, dict.fromkeys(met, wanted))) for wanted in (8, 9)]
    assert 0.0 == add_up(KeptCounted({}, {}))


def test_share_only_grows_and_stays_below_one() -> None:
    events: list[Event] = [CallsPlanned(1), CallEnded(), CallsPlanned(300), *[CallEnded()] * 400]
    shares = [add_up(*events[:count]) for count in range(len(events) + 1)]

    assert sorted(shares) == shares
    assert (0.0, 0.9) == (shares[0], shares[-1])
