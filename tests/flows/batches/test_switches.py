"""What whoever waits for a batch reads of each way that it can go wrong, and what becomes of the set and of the bill.

By the plain command in this process; the clock of command and server goes on by half an hour a look. ``LONG=1 pytest …
-s`` does all rows and prints what was read.
"""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes.batch_clock import move_clock
from fakes.batches import BatchServer, Manner, Outcome, Step, serve_batches
from fakes.commands import Command, Said
from fakes.long import LONG, longer
from fakes.workspace import HANDLE, Workspace, make_workspace

from engine.llm.batches.outbox import Outbox
from engine.settings import read_settings
from flows.batches import collect

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

HOUR, HALF_HOUR = 3600.0, 1800.0
LINES = 32
MOST_LOOKS = 120
AN_HOUR = Manner(seconds=HOUR)
ASKED_FOR = "The provider may have accepted it: its list of batches is searched for it"
AGAIN = "It is tried again"
LIVE = "The batch did not answer"
NOT_TAKEN = "this run's batch was not taken"


@dataclass(frozen=True)
class Row:
    """A way to go wrong, the words that are read of it, and the bill: lines billed in batches and batches.

    ``billed`` is None where some of the lines are. ``code`` is that of the command; where it is 0 its set is attached.
    """

    name: str
    words: tuple[str, ...] = ()
    manner: Manner = AN_HOUR
    fails: tuple[tuple[Step, Outcome], ...] = ()
    billed: int | None = LINES
    batches: int = 1
    code: int = 0


ROWS = (
    Row("create is lost", (ASKED_FOR,), fails=(("create", "lost"),)),
    Row("create is cut", (ASKED_FOR,), fails=(("create", "cut"),)),
    Row("create does not arrive", (ASKED_FOR,), fails=(("create", "dropped"),)),
    Row("list is late", (ASKED_FOR,), Manner(seconds=HOUR, list_lag=2400.0), (("create", "lost"),)),
    Row("create 429", ("limits the rate", AGAIN), fails=(("create", 429),)),
    Row("create 503", ("error of its own (503)", ASKED_FOR), fails=(("create", 503),)),
    Row("create 500 twice", (f"{LIVE} 32 calls, now asked live",), fails=(("create", 500),) * 2, billed=0, batches=0),
    Row(
        "create 403", (NOT_TAKEN, "Set EXEMPLARS_SYNTH_API_KEY"), fails=(("create", 403),), billed=0, batches=0, code=3
    ),
    Row("upload 503", ("error of its own (503)", AGAIN), fails=(("upload", 503),)),
    Row(
        "validation fails",
        (f"{NOT_TAKEN}: Validation of the file failed. Nothing was paid for it",),
        Manner(seconds=HOUR, ends="failed"),
        billed=0,
        code=3,
    ),
    Row("file is not ready", (), Manner(seconds=HOUR, pending_file=True)),
    Row("answers are late", ("(32 of 32 answered, but there is no file",), Manner(seconds=HOUR, late_file=600.0)),
    Row("lines are shuffled", (), Manner(seconds=HOUR, is_shuffled=True)),
    Row("lines are missing", (LIVE,), Manner(seconds=HOUR, missing=0.3), billed=None, batches=2),
    Row("lines are doubled", (), Manner(seconds=HOUR, doubled=0.3)),
    Row("some are refused", (LIVE,), Manner(seconds=HOUR, failed=0.3), billed=None),
    Row("some fail", (LIVE,), Manner(seconds=HOUR, failed=0.3, status=500), billed=None, batches=2),
    Row("some are limited", (LIVE,), Manner(seconds=HOUR, failed=0.3, status=429), billed=None, batches=2),
    Row("all are refused", (f"{LIVE} 32 calls",), Manner(seconds=HOUR, failed=1.0), billed=0),
    Row("ids are empty", (), Manner(seconds=HOUR, empty_ids=True)),
    Row(
        "ids are empty, all fail",
        (f"{LIVE} 32 calls",),
        Manner(seconds=HOUR, empty_ids=True, failed=1.0, status=500),
        billed=0,
        batches=2,
    ),
    Row("it expires", (LIVE,), Manner(seconds=HOUR, ends="expired"), billed=None, batches=2),
    Row("it is late", (LIVE,), Manner(seconds=30 * HOUR), billed=None),
    Row("texts have U+2028", (), Manner(seconds=HOUR, separator=True)),
    Row("another key's 404", ("does not have this batch under the current key",), fails=(("look", 404),)),
    Row("404 for ever", ("After 26 h its calls are made live", f"{LIVE} 32"), fails=(("look", 404),) * MOST_LOOKS),
    Row(
        "no list",
        ("this run's batch was not taken", "has no list of its batches"),
        fails=(("list", 404),),
        billed=0,
        batches=0,
        code=3,
    ),
    Row("list 500", ("error of its own (500)", AGAIN), fails=(("list", 500),)),
    Row("answers are cut", ("peer closed connection", AGAIN), fails=(("content", "cut"),)),
)
SHORT = ("create is lost", "validation fails", "some are refused", "another key's 404")


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with serve_batches() as served:
        yield served


@pytest.fixture
def batched(tmp_path: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    server.provider.url = f"{server.url}/v1"
    workspace = make_workspace(tmp_path, server.provider, EXEMPLARS_SYNTH_PRICE="1/2")
    workspace.enter(monkeypatch)
    move_clock(monkeypatch, server, HALF_HOUR, MOST_LOOKS)
    return workspace


def synthesize(run_command: Command) -> Said:
    os.environ["COLUMNS"] = "1000"
    return run_command("synthesize", HANDLE, "--effort", "low", "--batch")


def count_left() -> tuple[int, int]:
    """Runs that wait, and batches that are out."""
    with Outbox(read_settings().replies_place) as outbox:
        return len(outbox.find_runs()), sum(batch.state != "over" for batch in outbox.list_batches())


@longer
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if LONG or row.name in SHORT])
def test_what_goes_wrong_is_told_and_neither_lost_nor_paid_twice(
    batched: Workspace, server: BatchServer, run_command: Command, row: Row
) -> None:
    server.manner = row.manner
    for step, outcome in row.fails:
        server.fail(step, outcome)
    said = synthesize(run_command)
    print(f"\n{row.name}:", *find_told(said.err), sep="\n    ")

    assert (row.code, 0 if row.code else 1) == (said.code, len(batched.list_sets()))
    assert [] == [words for words in row.words if words not in said.err]
    assert row.batches == len(server.batches)
    assert len(server.billed) in (range(1, LINES) if row.billed is None else [row.billed])
    assert {1} >= set(server.billed.values())
    assert (0, 0) == count_left()


def interrupt(patch: pytest.MonkeyPatch, after: int) -> None:
    """Has somebody end the command after so many looks."""
    looks, once = itertools.count(1), collect.collect_once

    async def look(*arguments: Any) -> Any:
        told = await once(*arguments)
        if next(looks) > after:
            raise KeyboardInterrupt
        return told

    patch.setattr(collect, "collect_once", look)


def test_batch_of_another_key_waits_for_it(
    batched: Workspace, server: BatchServer, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, after=0)
        begun = synthesize(run_command)
    with monkeypatch.context() as patch:
        patch.setenv("EXEMPLARS_SYNTH_API_KEY", "sk-another")
        interrupt(patch, after=2)
        rotated = synthesize(run_command)
    ended = synthesize(run_command)
    print(*find_told(rotated.err), sep="\n    ")

    assert [130, 130, 0] == [said.code for said in (begun, rotated, ended)]
    assert "openai/test was called with another API key" in rotated.err
    assert "Set EXEMPLARS_SYNTH_API_KEY to that key until its batches are over" in rotated.err
    assert {1} == set(server.submitted.values()) == set(server.billed.values())
    assert (LINES, (0, 0)) == (len(server.billed), count_left())


@longer
def test_batch_that_somebody_cancels_is_read_and_the_rest_asked_live(
    batched: Workspace, server: BatchServer, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.manner = Manner(seconds=20 * HOUR)
    once = collect.collect_once

    async def cancel(*arguments: Any) -> Any:
        told = await once(*arguments)
        with Outbox(read_settings().replies_place) as outbox:
            for batch in outbox.list_batches():
                outbox.cancel(batch.batch)
        return told

    monkeypatch.setattr(collect, "collect_once", cancel)
    said = synthesize(run_command)
    print(*find_told(said.err), sep="\n    ")

    assert (0, 1) == (said.code, len(batched.list_sets()))
    assert LIVE in said.err
    assert 0 < len(server.billed) < LINES
    assert (0, 0) == count_left()


def find_told(err: str) -> list[str]:
    """What was told after the calls had been queued, each line once."""
    lines = err.partition("resumes where it stopped\n")[2].splitlines()
    usual = re.compile(r"Estimate: |Round |Check$| *kept \(quota ")
    return [line for line in dict.fromkeys(lines) if not usual.match(line)]
