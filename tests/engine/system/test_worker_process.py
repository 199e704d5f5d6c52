"""Work beside this process comes to what it comes to here; neither a death there nor one here leaves a trace.

All of it is about processes, so there are some: one for all tests that leave it whole, and one for each that does not.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from fakes.waiting import wait_until
from fakes.workspace import ROOT

from engine.system.worker_process import WorkerProcess

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SECONDS = 60.0
# Has a worker started, or forked by a process that was there before its threads; says what became of each work, and
# waits to be killed where it is to stay.
PARENT = """
import asyncio, os, signal, sys, threading
from functools import partial
from engine.system.worker_process import WorkerProcess, fork_worker

def read_mark(): return sys.modules["sys"].mark, sys.stdin.read()

async def main():
    with WorkerProcess(warnings.append, os.getpid, child) as worker:
        pid = await worker.run(os.getpid)
        if "stay" in sys.argv:
            print(pid, flush=True)
            await asyncio.sleep(600)
        print(pid, pid != os.getpid(), os.getpgid(pid) == os.getpgid(0), await worker.run(read_mark), flush=True)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        print(await worker.run(partial(int, "7")), flush=True)
        os.kill(pid, signal.SIGKILL)
        print(await worker.run(os.getpid) == os.getpid(), len(warnings), flush=True)

warnings, sys.mark = [], "what was imported"
child = fork_worker() if "fork" in sys.argv else None
threading.Thread(target=threading.Event().wait, daemon=True).start()
print(fork_worker(), flush=True)
asyncio.run(main())
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[WorkerProcess]:
    """One for all tests that leave it whole."""
    with WorkerProcess(print, os.getpid) as opened:
        yield opened


def is_there(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_until_gone(pid: int) -> None:
    wait_until(lambda: not is_there(pid), SECONDS, f"process {pid} is gone")


async def start(*arguments: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-c", PARENT, *arguments)
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)


async def test_work_is_done_in_another_process_and_what_it_raises_raises_here(worker: WorkerProcess) -> None:
    pid = await worker.run(os.getpid)
    # What a library prints does no harm.
    await worker.run(partial(print, "Hello.", flush=True))
    with pytest.raises(ValueError, match="invalid literal") as caught:
        await worker.run(partial(int, "seven"))
    with pytest.raises(RuntimeError, match="Odd: one"):
        await worker.run(partial(exec, "class Odd(Exception): pass\nraise Odd('one')"))

    assert "Traceback" in caught.value.__notes__[0]
    assert list(range(50)) == await asyncio.gather(*(worker.run(partial(round, number)) for number in range(50)))
    assert pid != os.getpid()
    # Its interrupts are its own.
    assert os.getpgid(pid) != os.getpgid(0)


async def test_one_who_is_cancelled_leaves_the_next_its_own_answer(worker: WorkerProcess, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cancelled = asyncio.create_task(worker.run(partial(Path.read_text, pipe)))
    # Writing waits for who reads.
    with await asyncio.to_thread(pipe.open, "w") as writing:
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        following = asyncio.create_task(worker.run(partial(int, "7")))
        writing.write("the answer of the first")

    assert 7 == await following


async def test_process_that_is_killed_costs_no_work_and_is_followed_by_another() -> None:
    told: list[str] = []
    with WorkerProcess(told.append, os.getpid) as worker:
        killed = await worker.run(os.getpid)
        os.kill(killed, signal.SIGKILL)
        wait_until_gone(killed)
        # On this thread too: it may import what no other one must meet half loaded.
        done_by = await worker.run(partial(eval, "__import__('os').getpid(), __import__('threading').get_ident()"))
        follower = await worker.run(os.getpid)
    wait_until_gone(follower)

    assert (os.getpid(), threading.get_ident()) == done_by
    [warning] = told
    assert warning.startswith("The worker process failed, perhaps because memory ran out. ")
    assert follower not in {killed, os.getpid()}


async def test_forked_worker_has_what_is_imported() -> None:
    out, _ = await (await start("fork")).communicate()
    second_fork, first, *later = out.decode().splitlines()

    assert "None" == second_fork
    assert first.endswith(" True True ('what was imported', '')"), first
    assert ["7", "True 1"] == later


@pytest.mark.parametrize("way", ["start", "fork"])
async def test_worker_ends_with_a_parent_that_is_killed(way: str) -> None:
    parent = await start(way, "stay")
    assert parent.stdout is not None
    said = [await parent.stdout.readline() for _ in range(2)]
    pid = int(said[-1].split()[0])
    before = is_there(pid)
    parent.kill()
    await parent.wait()
    wait_until_gone(pid)

    assert before
