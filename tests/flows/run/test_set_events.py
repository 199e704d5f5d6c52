"""Events of sample sets: the model is the resource, what counts is in the payload, and a failure stops nothing.

Those of flow runs are looked at where sets are reviewed, and where a deployment's run is followed by an automation.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.receiver import open_receiver
from fakes.stored import HANDLE, attach_set
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.domain.samples import make_id
from engine.store.changes import Removal, detach_set, remove_stored
from flows.run.set_events import emit_written, emitting_removals

Posted = list[Any]
# What Prefect's client asks a server for before it changes anything there.
TOKEN = '{"token": "t", "client": "c", "expiration": "2100-01-01T00:00:00Z"}'


@pytest.fixture
def posted() -> Iterator[Posted]:
    """What is posted, each time a list of one event, to the server that is configured."""
    with (
        open_receiver(status=200, answer=TOKEN) as receiver,
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{receiver.port}/api"}),
    ):
        yield receiver.messages


def test_event_names_the_model_its_run_and_the_set(tmp_path: Path, posted: Posted) -> None:
    stored = attach_set(tmp_path, "a", pool="eval")
    emit_written(stored)
    [[event]] = posted

    assert "exemplars.set.attached" == event["event"]
    assert {
        "prefect.resource.id": f"exemplars.model.{HANDLE}",
        "prefect.resource.name": HANDLE,
        "exemplars.pool": "eval",
        "exemplars.synth-type": "from_traits",
    } == event["resource"]
    assert [{"prefect.resource.id": "prefect.flow-run.a", "prefect.resource.role": "flow-run"}] == event["related"]
    assert {
        "run_id": "a",
        "handle": HANDLE,
        "pool": "eval",
        "synth_type": "from_traits",
        "effort": "low",
        "counts": {"clarity": {"positive": 2, "negative": 2}},
        "path": stored.folder,
    } == event["payload"]


def test_status_is_the_name_and_a_set_that_was_there_before_is_not_told_again(tmp_path: Path, posted: Posted) -> None:
    for status in ("proposed", "rejected"):
        emit_written(attach_set(tmp_path, status, status=status))
    for _ in range(2):
        emit_written(attach_set(tmp_path, "a"))

    assert ["proposed", "rejected", "attached"] == [event["event"].rpartition(".")[2] for [event] in posted]


def test_each_set_that_lost_samples_tells_what_is_left(tmp_path: Path, posted: Posted) -> None:
    sets = [attach_set(tmp_path, run_id) for run_id in ("some", "none", "all")]

    def change() -> None:
        with emitting_removals(sets):
            remove_stored(sets[0], Removal((make_id(HANDLE, "clarity", "some 1"),), datetime.now(UTC)))
            detach_set(sets[2])
            raise InterruptedError

    with pytest.raises(InterruptedError):
        change()
    names = ("run_id", "counts", "removed", "status")
    told = [(event["event"], *(event["payload"][name] for name in names)) for [event] in posted]

    left = {"clarity": {"positive": 2, "negative": 1}}
    assert [
        ("exemplars.set.removed", "some", left, 1, "attached"),
        ("exemplars.set.removed", "all", {}, 4, "detached"),
    ] == told


def test_nothing_is_emitted_where_no_server_is_configured_and_one_that_is_away_stops_nothing(
    tmp_path: Path, posted: Posted, caplog: pytest.LogCaptureFixture
) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}), caplog.at_level(logging.WARNING):
        emit_written(attach_set(tmp_path, "a"))
        unset = caplog.text
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), caplog.at_level(logging.WARNING):
        emit_written(attach_set(tmp_path, "b"))

    assert ([], "") == (posted, unset)
    assert "No event exemplars.set.attached was emitted: " in caplog.text
