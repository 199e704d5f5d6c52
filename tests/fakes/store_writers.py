"""What processes of their own do to a store, and how they are begun and ended: none of them can hold up a test."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any
from uuid import UUID

from fakes.stored import HANDLE, NOON, attach_set

from engine.domain.samples import make_id
from engine.errors import InputError
from engine.store.changes import Removal, detach_set, remove_stored
from engine.store.store import StoredSet, find_set

# Far more than any of this takes on a busy machine, and less than a test may take.
SECONDS = 200.0
CONTEXT = get_context("forkserver")
# The server has no threads when it forks. It has what each process would import first: pytest too, which began them,
# and what any module of these fakes needs, since the server of a session is one.
CONTEXT.set_forkserver_preload(
    ["fakes.store_writers", "pandas", "pytest", "litellm", "fakes.batch_collector", "fakes.house"]
)


@contextmanager
def open_pool(count: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes, which are killed at the end: also those that never come back."""
    others = set(active_children())
    pool = ProcessPoolExecutor(count, CONTEXT)
    try:
        yield pool
    finally:
        for process in set(active_children()) - others:
            process.kill()
        pool.shutdown()


@contextmanager
def run_apart(work: Callable[..., None], *arguments: Any) -> Iterator[ForkServerProcess]:
    process = CONTEXT.Process(target=work, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def name_run(number: int) -> str:
    return str(UUID(int=number))


def find(store: Path | str, run_id: str) -> StoredSet:
    stored = find_set(str(store), run_id)
    assert stored is not None
    return stored


def write_sets(store: Path, begin: int, rows: int, told: Connection, count: int = 10_000) -> None:
    """Sets one after another: every second comes after a rejected one, every third is detached again."""
    for number in range(begin, begin + count):
        if number % 2:
            attach_set(store, name_run(number), rows, status="rejected")
        stored = attach_set(store, name_run(number), rows)
        told.send((number, "attached"))
        if number % 3 == 0:
            detach_set(stored)
            told.send((number, "detached"))


def detach_at_once(store: str, run_id: str) -> bool:
    """Whether this process is the one that detached it; while the other does, there may be no set to find."""
    stored = find_set(store, run_id)
    if stored is None or stored.status != "attached":
        return False
    try:
        detach_set(stored)
    except InputError:
        return False
    return True


def remove_text(store: Path | str, run_id: str, text: str) -> None:
    """Takes a sample off a set."""
    remove_stored(find(store, run_id), Removal((make_id(HANDLE, "clarity", text),), NOON))


def remove_in_turn(
    store: Path | str, removals: Sequence[tuple[str, str]], begun: "Synchronized[int]", done: "Synchronized[int]"
) -> None:
    """Removals by run and text, those that are not yet done; both numbers count them."""
    for run_id, text in removals[done.value :]:
        begun.value += 1
        remove_text(store, run_id, text)
        done.value += 1
