"""Work beside this process comes to what it comes to here; neither a death there nor one here leaves a trace."""

import asyncio
import errno
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio
from fakes.builders import make_exemplar, make_stamp
from fakes.workspace import ROOT

from engine.domain.model import POLES
from engine.domain.samples import SAMPLE_SCHEMA, make_row, make_sample_table
from engine.system.worker_process import WorkerProcess
from expectations.checking import GateWork
from expectations.gate import check_rows

T = TypeVar("T")

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SECONDS = 60.0
# Says the id of the process beside it, and waits to be killed.
PARENT = """
import asyncio, os, sys
from engine.system.worker_process import WorkerProcess

async def main():
    with WorkerProcess(print, os.getpid) as worker:
        print(await worker.run(os.getpid), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


# Has a worker forked, one that was there before its threads; says what became of each work.
FORKING = """
import asyncio, os, signal, sys, threading
from functools import partial
from engine.system.worker_process import WorkerProcess, fork_worker

def read_mark(): return sys.modules["sys"].mark, sys.stdin.read(), len(os.listdir("/proc/self/fd"))

async def main():
    with WorkerProcess(warnings.append, os.getpid, child) as worker:
        pid = await worker.run(os.getpid)
        print(pid, pid != os.getpid(), os.getpgid(pid) == os.getpgid(0), await worker.run(read_mark), flush=True)
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        print(await worker.run(partial(int, "7")), flush=True)
        try:
            await worker.run(partial(int, "seven"))
        except ValueError as error:
            print(error, flush=True)
        if "stay" in sys.argv:
            await asyncio.sleep(600)
        os.kill(pid, signal.SIGKILL)
        print(await worker.run(os.getpid) == os.getpid(), len(warnings), flush=True)
        follower = await worker.run(os.getpid)
        print(follower not in (pid, os.getpid()), len(warnings), flush=True)

warnings, sys.mark = [], "what was imported"
held = open(os.devnull), open(os.devnull)
child = fork_worker()
threading.Thread(target=threading.Event().wait, daemon=True).start()
print(fork_worker(), flush=True)
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


class Told(list[str]):
    """The warnings."""

    def __call__(self, warning: str) -> None:
        self.append(warning)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[WorkerProcess]:
    """One for all tests that leave it whole."""
    with WorkerProcess(Told(), os.getpid) as opened:
        yield opened


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def list_children() -> list[int]:
    """The worker processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"engine.system.worker_process" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + SECONDS
    while is_there(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.05)


async def test_verdict_is_that_of_the_gate_here(worker: WorkerProcess) -> None:
    passed, failed = prepare(1), prepare(2)
    found = await worker.run(passed), await worker.run(failed)

    assert (passed(), failed()) == found
    assert [True, False] == [verdict.success for verdict in found]
    assert os.getpid() != await worker.run(os.getpid)


async def test_work_that_raises_raises_here_and_the_next_is_done(worker: WorkerProcess) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await worker.run(partial(int, "seven"))
    assert (await worker.run(prepare(1))).success


async def test_error_says_where_it_was_raised(worker: WorkerProcess) -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        await worker.run(partial(int, "seven"))
    with pytest.raises(RuntimeError, match="Odd: one"):
        await worker.run(partial(exec, "class Odd(Exception): pass\nraise Odd('one')"))

    assert "Traceback" in caught.value.__notes__[0]


async def test_process_that_is_killed_costs_no_verdict_and_is_followed_by_another(told: Told) -> None:
    with WorkerProcess(told, os.getpid) as worker:
        killed = await worker.run(os.getpid)
        os.kill(killed, signal.SIGKILL)
        wait_until_gone(killed)
        verdict = await worker.run(prepare(1))
        follower = await worker.run(os.getpid)
    wait_until_gone(follower)

    assert prepare(1)() == verdict
    assert 1 == len(told)
    assert told[0].startswith("The worker process failed, perhaps because memory ran out. ")
    assert follower not in {killed, os.getpid()}


async def test_machine_that_gives_no_process_costs_no_verdict(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", refuse)
    with WorkerProcess(told, os.getpid) as worker:
        verdict = await worker.run(prepare(1))

    assert verdict.success
    assert told[0].endswith("Resource temporarily unavailable")


async def test_interrupt_of_the_terminal_is_not_its_own(worker: WorkerProcess) -> None:
    assert os.getpgid(await worker.run(os.getpid)) != os.getpgid(0)


async def test_one_who_is_cancelled_leaves_the_next_its_own_answer(worker: WorkerProcess) -> None:
    await worker.run(os.getpid)
    cancelled = asyncio.create_task(worker.run(partial(time.sleep, 0.3)))
    await asyncio.sleep(0.1)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    assert (await worker.run(prepare(1))).success


async def test_many_who_ask_at_once_get_their_own_answers(worker: WorkerProcess) -> None:
    found = await asyncio.gather(*(worker.run(partial(round, number)) for number in range(50)))

    assert list(range(50)) == found


async def test_what_a_library_prints_does_no_harm(worker: WorkerProcess) -> None:
    await worker.run(partial(print, "Hello.", flush=True))

    assert (await worker.run(prepare(1))).success


async def test_those_who_wait_when_it_is_closed_start_no_other() -> None:
    before = list_children()
    with WorkerProcess(Told(), os.getpid) as worker:
        pid = await worker.run(os.getpid)
        waiting = [asyncio.create_task(worker.run(partial(time.sleep, 600))) for _ in range(3)]
        await asyncio.sleep(0.1)
    ended = await asyncio.gather(*waiting, return_exceptions=True)

    wait_until_gone(pid)
    assert [True] * 3 == [isinstance(error, BrokenPipeError) for error in ended]
    assert before == list_children()


async def test_it_ends_with_a_parent_that_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    before = is_there(pid)
    parent.kill()
    await parent.wait()
    wait_until_gone(pid)

    assert before


async def test_forked_worker_has_what_is_imported_and_no_file_of_its_parents() -> None:
    said = await start_forking()
    out, _ = await said.communicate()
    none, first, after_interrupt, error, here, follower = out.decode().splitlines()

    assert "None" == none
    assert first.endswith(" True True ('what was imported', '', 5)"), first
    assert ("7", "invalid literal for int() with base 10: 'seven'") == (after_interrupt, error)
    assert ("True 1", "True 1") == (here, follower)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
async def test_process_without_a_standard_stream_forks_none(closed: str) -> None:
    code = (
        "import os; from engine.system.worker_process import fork_worker; os._exit(7 if fork_worker() is None else 1)"
    )
    process = await asyncio.create_subprocess_shell(f"{sys.executable} -c '{code}' {closed}", cwd=ROOT)

    assert 7 == await process.wait()


async def test_forked_worker_ends_with_a_parent_that_is_killed() -> None:
    parent = await start_forking("stay")
    assert parent.stdout is not None
    lines = [await parent.stdout.readline() for _ in range(4)]
    pid = int(lines[1].split()[0])
    before = is_there(pid)
    parent.kill()
    await parent.wait()
    wait_until_gone(pid)

    assert before


async def start_forking(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", FORKING, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
