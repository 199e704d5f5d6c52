"""Measures a command with all processes that it starts: its own seconds, their CPU seconds, the memory of the largest.

The command runs below a process of its own, which inherits what the command leaves behind and waits for that too.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.system.child_process import PR_SET_CHILD_SUBREAPER

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Measured:
    """One command: until it ended, until all that it had started had ended; CPU seconds of all, the largest's peak."""

    code: int
    output: str
    seconds: float
    seconds_to_last: float
    cpu_seconds: float
    peak_mb: int


def measure_command(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    answered = subprocess.run(
        [sys.executable, "-m", __name__, *command],
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


def main(command: Sequence[str]) -> Measured:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    begun = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.readline()
    code = process.wait()
    seconds = time.monotonic() - begun
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds_to_last = time.monotonic() - begun
    return Measured(code, output, seconds, seconds_to_last, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)


if __name__ == "__main__":
    print(json.dumps(asdict(main(sys.argv[1:]))))
