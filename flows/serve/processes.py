"""Finds and stops all processes that a service of ``make serve`` has started, by a mark in their environment.

A worker starts each flow run in a session of its own, and a flow run outlives a worker that is killed. Only the
environment, which children inherit, tells which service a process belongs to. It is read from /proc; on systems without
/proc nothing is found, and the worker itself stops its flow runs.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

MARK = "EXEMPLARS_PART"
FLOW_RUN = "PREFECT__FLOW_RUN_ID"
LOOK_SECONDS = 0.05
# Of the time that a part has: the flow runs' part of it.
RUNS_SHARE = 0.75


def list_marked(mark: str) -> dict[int, str | None]:
    """The processes whose mark begins with ``mark``: by pid, the id of the flow run that each works for, or None."""
    found: dict[int, str | None] = {}
    for pid in _list_pids():
        environment = _read_environment(pid)
        if environment.get(MARK, "").startswith(mark) and not _is_dead(pid):
            found[pid] = environment.get(FLOW_RUN)
    return found


def stop_marked(mark: str, leader: int, seconds: float) -> None:
    """Stops all marked processes with SIGTERM, and after ``seconds`` with SIGKILL.

    The processes of flow runs get SIGTERM before the ``leader``, because a worker that gets it kills its runs before
    they can report their end. Children of a run get no SIGTERM: they end with the run, which would otherwise take their
    end for a failure of its model.
    """
    begun = time.monotonic()
    marked = list_marked(mark)
    runs = {pid for pid, run in marked.items() if run and marked.get(_read_parent(pid)) is None}
    _send(signal.SIGTERM, runs)
    _wait(lambda: runs.isdisjoint(list_marked(mark)), begun + RUNS_SHARE * seconds)
    _send(signal.SIGTERM, [leader])
    _wait(lambda: not list_marked(mark) and not _is_there(leader), begun + seconds)
    kill_marked(mark)
    _send(signal.SIGKILL, [leader] if _is_there(leader) else [])


def kill_marked(mark: str) -> None:
    """Kills all marked processes, and those that they start in the meantime, with SIGKILL."""
    while left := list_marked(mark):
        _send(signal.SIGKILL, left)
        time.sleep(LOOK_SECONDS)


def describe_process(pid: int) -> str:
    """The command line of a process, shortened to 120 characters; empty if it cannot be read."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        return words if len(words) <= 120 else f"{words[:119]}…"
    return ""


def _wait(condition: Callable[[], bool], end: float) -> None:
    while not condition() and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _send(number: signal.Signals, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _list_pids() -> Iterator[int]:
    proc = Path("/proc")
    return (int(path.name) for path in proc.iterdir() if path.name.isdigit()) if proc.is_dir() else iter(())


def _read_environment(pid: int) -> dict[str, str]:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs = (entry.decode(errors="replace").partition("=") for entry in entries)
    return {name: text for name, _, text in pairs if name in {MARK, FLOW_RUN}}


def _read_parent(pid: int) -> int:
    fields = _read_status(pid)
    return int(fields[1]) if len(fields) > 1 else 0


def _is_dead(pid: int) -> bool:
    """Whether a process has ended and only waits for its parent to collect its exit status."""
    fields = _read_status(pid)
    return not fields or fields[0] in {"Z", "X"}


def _read_status(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the name, which may contain spaces and brackets: state, parent and so on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
