"""When the lines of runs that wait are sent."""

from uuid import uuid4

import pytest
from fakes.batch_lines import make_run
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Running

from flows.batches.flow import may_send

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("parent", "minutes", "sends"),
    [
        (None, 0, True),
        ("unknown", 0, True),
        (Completed(), 0, True),
        (Running(), 0, False),
        (Running(), 59, False),
        (Running(), 61, True),
    ],
)
def test_lines_wait_while_their_backfill_may_queue_others_an_hour_at_most(
    parent: State | str | None, minutes: int, sends: bool
) -> None:
    known = {"parent": FlowRun(flow_id=uuid4(), state=parent)} if isinstance(parent, State) else {}
    alone = make_run("alone", queued_at=NOW)
    part = make_run("part", parent="parent" if parent else None, queued_at=NOW - 60 * minutes)

    assert sends == may_send([alone, part], known, NOW)
    assert may_send([], known, NOW)
