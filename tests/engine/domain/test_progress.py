"""Progress: what the events of a run add up to."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.model import Pole
from engine.domain.progress import CallBegun, CallEnded, CallsPlanned, Event, KeptCounted, ProgressFraction, StageBegun

QUOTAS: dict[tuple[str, Pole], int] = {("clarity", "positive"): 8}
EVENTS = st.one_of(
    st.builds(CallsPlanned, st.integers(0, 300)),
    st.just(CallEnded()),
    st.just(CallBegun()),
    st.builds(StageBegun, st.just("Round 1")),
    st.builds(
        KeptCounted,
        st.dictionaries(st.just(("clarity", "positive")), st.integers(0, 8)),
        st.just({("clarity", "positive"): 8}),
    ),
)


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


@settings(max_examples=50, database=None, derandomize=True)
@given(events=st.lists(EVENTS, max_size=50))
def test_share_only_grows_and_stays_below_one(events: list[Event]) -> None:
    share, seen = ProgressFraction(), [0.0]
    for event in events:
        share.take(event)
        seen.append(share.value)

    assert sorted(seen) == seen
    assert seen[-1] <= 0.9
