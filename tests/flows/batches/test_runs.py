"""Runs that take the price of a batch, in this process, against a server of batches with a clock that is moved."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes.batch_clock import move_clock
from fakes.batches import BatchServer, Manner, serve_batches
from fakes.provider import Behaviour
from fakes.waiting import wait_until
from fakes.workspace import HANDLE, MODEL, PROGRAM, Workspace, make_workspace
from sqlalchemy import text

from engine.domain.verdict import RunResult
from engine.llm.batches.outbox import Outbox
from engine.settings import read_settings
from flows.batches import collect

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]
HALF_HOUR = 1800.0
VARY = ["run_id", "created_at", "cost_usd"]


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with serve_batches(Behaviour(), Manner(seconds=3600)) as served:
        yield served


@pytest.fixture
def batched(tmp_path: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose runs ask that server; each look of a run that waits is half an hour after the last."""
    workspace = open_workspace(tmp_path / "batched", server)
    workspace.enter(monkeypatch)
    move_clock(monkeypatch, server, HALF_HOUR)
    return workspace


def open_workspace(folder: Path, server: BatchServer) -> Workspace:
    folder.mkdir()
    server.provider.url = f"{server.url}/v1"
    return make_workspace(folder, server.provider, EXEMPLARS_SYNTH_PRICE="1/2")


def synthesize(**parameters: Any) -> RunResult:
    from flows.synthesize import synthesize

    result: RunResult = asyncio.run(synthesize(HANDLE, effort="low", **parameters))
    return result


def read_rows(result: RunResult) -> pd.DataFrame:
    return pd.read_parquet(result.samples).drop(columns=VARY)


def count_left() -> tuple[int, int]:
    """Runs that wait, and batches that are out."""
    with Outbox(read_settings().replies_place) as outbox:
        return len(outbox.find_runs()), sum(batch.state != "over" for batch in outbox.list_batches())


def test_set_is_that_of_live_calls_but_for_its_cost(
    batched: Workspace, server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = synthesize(batch="first")
    lines = server.submitted
    open_workspace(tmp_path / "live", server).enter(monkeypatch)
    beside = synthesize()

    assert "attached" == result.status
    pd.testing.assert_frame_equal(read_rows(beside), read_rows(result))
    assert {1} == set(lines.values()) == set(server.billed.values())
    assert 32 == len(lines)


def test_all_asks_votes_and_further_rounds_in_batches_too(
    batched: Workspace, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    batched.write_effort(judge_votes=1)
    for name in ("MODEL", "API_BASE", "API_KEY", "PRICE"):
        monkeypatch.setenv(f"EXEMPLARS_JUDGE_{name}", batched.variables[f"EXEMPLARS_SYNTH_{name}"])
    result = synthesize(batch="all")

    assert "attached" == result.status
    assert len(server.batches) > 1
    assert {1} == set(server.submitted.values())
    assert (0, 0) == count_left()


def test_run_goes_on_from_what_it_was_planned_from(
    batched: Workspace, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = collect.collect_once

    async def change(*arguments: Any) -> Any:
        (batched.model / "model.yaml").write_text(MODEL.replace("speak of safety", "say how to stay safe"))
        return await once(*arguments)

    monkeypatch.setattr(collect, "collect_once", change)
    result = synthesize(batch="first")

    assert "attached" == result.status
    assert {1} == set(server.submitted.values())
    assert 1 == len(server.batches)


@pytest.mark.parametrize("manner", [Manner(failed=0.3), Manner(failed=0.3, status=500), Manner(ends="expired")])
def test_what_a_batch_does_not_bring_is_asked_live(batched: Workspace, server: BatchServer, manner: Manner) -> None:
    server.manner = manner
    result = synthesize(batch="first")

    assert "attached" == result.status
    assert {1} == set(server.billed.values())
    assert (0, 0) == count_left()


def test_batch_without_a_file_of_answers_is_given_up_within_hours_and_its_calls_are_asked_live(
    batched: Workspace, server: BatchServer
) -> None:
    server.manner = Manner(late_file=1e9)
    begun = server.clock()
    result = synthesize(batch="first")

    assert "attached" == result.status
    assert {2} == set(server.submitted.values())
    assert server.clock() - begun < 6 * 3600
    assert (0, 0) == count_left()


def test_batch_that_fails_in_validation_ends_its_run_with_the_provider_s_words(
    batched: Workspace, server: BatchServer
) -> None:
    from engine.errors import ProviderError

    server.manner = Manner(ends="failed")
    with pytest.raises(ProviderError, match="this run's batch was not taken: Validation of the file failed"):
        synthesize(batch="first")
    server.manner = Manner()
    again = synthesize(batch="first")

    assert "attached" == again.status
    assert (0, 0) == count_left()


def test_run_that_was_cancelled_leaves_what_it_has_sent_to_the_next(
    batched: Workspace, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.errors import RunInterruptedError

    once = collect.collect_once

    async def send_and_cancel(*arguments: Any) -> Any:
        told = await once(*arguments)
        with Outbox(read_settings().replies_place) as outbox:
            [run] = outbox.find_runs()
            outbox.end(run.run_id)
        return told

    with monkeypatch.context() as patch:
        patch.setattr(collect, "collect_once", send_and_cancel)
        with pytest.raises(RunInterruptedError, match="were cancelled"):
            synthesize(batch="first")
    asked = server.provider.calls.total()
    result = synthesize(batch="first")

    assert "attached" == result.status
    assert 1 == len(server.batches)
    assert {1} == set(server.submitted.values()) == set(server.billed.values())
    assert asked + 32 == server.provider.calls.total()
    assert (0, 0) == count_left()


def test_backfill_s_models_go_in_one_batch_and_go_on_under_their_own_runs(
    batched: Workspace, server: BatchServer
) -> None:
    from flows.backfill import backfill

    handles = [f"u22a8.shed-{number}" for number in range(3)]
    for handle in handles:
        shutil.copytree(batched.model, batched.model.parent / handle)
    counts = asyncio.run(backfill(handles=handles, effort="low", batch="first", max_cost_usd=5.0))

    assert {"attached": 3} == counts
    assert 1 == len(server.batches)
    assert {1} == set(server.submitted.values())
    assert (0, 0) == count_left()


def test_command_that_is_killed_while_its_batch_is_out_goes_on_where_it_was(
    batched: Workspace, server: BatchServer, prefect_server: str
) -> None:
    command = (*PROGRAM, "--batch")
    killed = batched.start(program=command, PREFECT_API_URL=prefect_server)
    wait_until(lambda: server.batches, 120, "its batch is out", process=killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    asked = server.provider.calls.total()
    server.advance(3600)
    with Outbox(read_settings().replies_place) as outbox:
        outbox.change(lambda connection: connection.execute(text("UPDATE exemplars_batches SET next_poll_at = 0")))
    again = batched.start(program=command, PREFECT_API_URL=prefect_server)
    out, said = again.communicate(timeout=240)
    print(out, said)

    assert 0 == again.returncode, said
    assert 1 == len(batched.list_sets())
    assert 1 == len(server.batches)
    assert {1} == set(server.submitted.values()) == set(server.billed.values())
    assert asked + 32 == server.provider.calls.total()
    assert (0, 0) == count_left()
