"""The gate in a process of its own says what it says here, and neither its death nor its parent's leaves anything."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from fakes.builders import make_exemplar, make_stamp
from fakes.workspace import ROOT

from engine.model import POLES
from engine.samples import SAMPLE_SCHEMA, make_row, make_sample_table
from engine.verdict import Verdict
from expectations.checking import GateWork
from expectations.gate import check_rows
from expectations.gate_process import GateProcess, open_gate_process

pytestmark = pytest.mark.slow

SECONDS = 60.0
# Says the id of its gate's process, and waits to be killed.
PARENT = """
import asyncio, os, sys
from engine.verdict import Verdict
from expectations.gate_process import open_gate_process

async def main():
    async with open_gate_process(print) as gate:
        print(await gate.run(os.getpid), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def prepare(count: int) -> GateWork:
    """The gate over two rows that differ, of which there ought to be so many at each pole."""
    stamp = make_stamp()
    texts = ("Take tram nine to Harbour Street and walk up.", "Ownership is indicated in the pertinent field.")
    rows = [make_row(make_exemplar(text, pole), stamp, None) for text, pole in zip(texts, POLES, strict=True)]
    run = make_sample_table(rows).to_pandas()
    whole = run[["trait", "text", "quality"]].assign(origin="run")
    return partial(check_rows, run, whole, ["clarity"], count, stamp.run_id, SAMPLE_SCHEMA.names, ())


def fail() -> Verdict:
    raise ValueError("There is no such frame.")


class Told(list[str]):
    """The warnings."""

    def __call__(self, warning: str) -> None:
        self.append(warning)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def gate(told: Told) -> AsyncIterator[GateProcess]:
    async with open_gate_process(told) as opened:
        yield opened


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + SECONDS
    while is_there(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.05)


async def test_verdict_is_that_of_the_gate_here(gate: GateProcess, told: Told) -> None:
    passed, failed = prepare(1), prepare(2)
    found = await gate.run(passed), await gate.run(failed)

    assert (passed(), failed()) == found
    assert [True, False] == [verdict.success for verdict in found]
    assert os.getpid() != await gate.run(os.getpid)
    assert [] == told


async def test_work_that_raises_raises_here_and_the_next_is_done(gate: GateProcess) -> None:
    with pytest.raises(ValueError, match="no such frame"):
        await gate.run(fail)
    assert (await gate.run(prepare(1))).success


async def test_process_that_is_killed_costs_no_verdict_and_is_followed_by_another(
    gate: GateProcess, told: Told
) -> None:
    killed = await gate.run(os.getpid)
    os.kill(killed, signal.SIGKILL)
    wait_until_gone(killed)
    verdict = await gate.run(prepare(1))

    assert prepare(1)() == verdict
    assert ["The gate's process was ended from outside, by want of memory perhaps; this one does its work"] == told
    assert await gate.run(os.getpid) not in {killed, os.getpid()}


async def test_interrupt_of_the_terminal_is_not_its_own(gate: GateProcess) -> None:
    pid = await gate.run(os.getpid)
    os.kill(pid, signal.SIGINT)

    assert (await gate.run(prepare(1))).success
    assert pid == await gate.run(os.getpid)


async def test_it_ends_with_the_block() -> None:
    async with open_gate_process(Told()) as gate:
        pid = await gate.run(os.getpid)
    wait_until_gone(pid)


def test_it_ends_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        before = is_there(pid)
        parent.kill()
        wait_until_gone(pid)

    assert before
