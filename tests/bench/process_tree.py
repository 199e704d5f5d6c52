"""Measures a command with all processes that it starts: its own seconds, their CPU seconds and their memory together.

The command runs below a process of its own, which inherits what the command leaves behind and waits for that too.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fakes.workspace import ROOT

from engine.system.guard import PR_SET_CHILD_SUBREAPER

SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Measured:
    """One command: until it ended, until all that it had started had ended; CPU seconds of all, their peak of PSS."""

    code: int
    output: str
    seconds: float
    seconds_to_last: float
    cpu_seconds: float
    peak_mb: int


def measure_command(command: Sequence[str], environment: Mapping[str, str], memory: bool = False) -> Measured:
    """Runs a command well to its end and until all that it has started is gone.

    Args:
        memory: whether memory is measured, which costs CPU seconds of the machine, though none of the command's.
    """
    answered = subprocess.run(
        [sys.executable, "-m", __name__, str(int(memory)), *command],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    measured = Measured(**json.loads(answered.stdout))
    assert 0 == measured.code, measured.output
    return measured


def main(memory: bool, command: Sequence[str]) -> Measured:
    """Runs the command as the one child of this process."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    peak, over = [0], threading.Event()
    sampling = threading.Thread(target=sample_memory, args=(peak, over))
    begun = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if memory:
        sampling.start()
    assert process.stdout is not None
    output = process.stdout.readline()
    code = process.wait()
    seconds = time.monotonic() - begun
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    seconds_to_last = time.monotonic() - begun
    over.set()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Measured(code, output, seconds, seconds_to_last, used.ru_utime + used.ru_stime, peak[0])


def sample_memory(peak_mb: list[int], over: threading.Event) -> None:
    """Samples the PSS of all that this process has started until it is over."""
    while not over.wait(SAMPLE_SECONDS):
        peak_mb[0] = max(peak_mb[0], sum(map(read_pss, list_below(os.getpid()))) // 1024)


def list_below(pid: int) -> list[int]:
    """The ids of all processes that a process has started, and that these have."""
    try:
        children = Path(f"/proc/{pid}/task").glob("*/children")
        found = [int(number) for path in children for number in path.read_text().split()]
    except OSError:
        return []
    return [*found, *(number for child in found for number in list_below(child))]


def read_pss(pid: int) -> int:
    """The memory of a process, what it shares with others divided among them, in KB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    print(json.dumps(asdict(main(bool(int(sys.argv[1])), sys.argv[2:]))))
