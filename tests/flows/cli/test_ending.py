"""How a command's run ends by signals: in its own order, and once."""

import os
import signal
import subprocess
import sys

import pytest
from fakes.workspace import ROOT

# It goes on at each line of its input: while it works, while it ends, and before its process ends.
RUN = """
import asyncio, signal, sys
from engine.errors import RunInterruptedError
from flows.cli.ending import ending_once

async def work():
    print("begun", flush=True)
    try:
        await (asyncio.to_thread(sys.stdin.readline) if "nohup" in sys.argv else asyncio.sleep(3600))
    except asyncio.CancelledError:
        print("ends", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print("ended", flush=True)
        raise
    return "done"

signal.signal(signal.SIGINT, signal.default_int_handler)
if "nohup" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
try:
    with ending_once() as run:
        print(run(work()))
except RunInterruptedError as error:
    print(error, flush=True)
    sys.stdin.readline()
    sys.exit(130)
"""
TOLD = "interrupted. The replies so far are kept: the next start continues from them"
INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@pytest.mark.parametrize("first", [INT, TERM, HUP])
@pytest.mark.parametrize("later", [(), (TERM,), (INT, TERM, HUP)], ids=["alone", "twice", "all"])
def test_run_ends_in_its_own_order_whatever_else_comes(
    first: signal.Signals, later: tuple[signal.Signals, ...]
) -> None:
    with start() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = [process.stdout.readline()]
        send(process, first, *later)
        said.append(process.stdout.readline())
        send(process, *later)
        process.stdin.write("\n")
        process.stdin.flush()
        said += [process.stdout.readline(), process.stdout.readline()]
        send(process, *later)
        process.communicate("\n")

    assert (130, ["begun", "ends", "ended", TOLD]) == (process.returncode, "".join(said).splitlines())


def test_signal_that_is_ignored_stays_so() -> None:
    with start("nohup") as process:
        assert process.stdout is not None
        process.stdout.readline()
        send(process, HUP)
        said = process.communicate("\n")[0]

    assert (0, "done\n") == (process.returncode, said)


def send(process: "subprocess.Popen[str]", *numbers: signal.Signals) -> None:
    for number in numbers:
        os.killpg(process.pid, number)


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
