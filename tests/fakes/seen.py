"""What a provider sees of the calls of several processes: how many in the worst minute."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fakes.site import clear_environment
from fakes.workspace import ROOT

CALLERS = Path(__file__).with_name("callers.py")


def start_callers(api: str, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
    """Starts a process that calls through the rate limiter; ``settings`` are EXEMPLARS_ variables, unprefixed."""
    ours = {f"EXEMPLARS_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-P", str(CALLERS), *arguments],
        cwd=ROOT,
        env={**clear_environment(), **ours, "PREFECT_API_URL": api, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def gather(callers: Sequence["subprocess.Popen[str]"]) -> list[float]:
    """The times of all calls, in their order, when the processes have ended well."""
    times: list[float] = []
    for process in callers:
        out, said = process.communicate()
        assert 0 == process.returncode, said
        times += map(float, out.split())
    return sorted(times)


def count_most(times: Sequence[float], seconds: float = 60.0) -> int:
    """The most calls in any so many seconds."""
    return max(sum(begin <= moment < begin + seconds for moment in times) for begin in times)
