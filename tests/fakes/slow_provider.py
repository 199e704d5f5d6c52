"""A provider in a process of its own, each call of which takes the same time; it tells what it was asked."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fakes.provider import Behaviour, Provider, serve
from fakes.workspace import ROOT


class SlowProvider(Provider):
    """One that takes so many seconds for a call, whatever its prompt."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Behaviour())
        self._seconds = seconds

    async def _wait(self, prompt: str) -> None:
        await asyncio.sleep(self._seconds)


@dataclass(frozen=True)
class Asked:
    """What a provider was asked so far; ``repeated`` are the calls of a prompt after its first."""

    calls: int
    repeated: int
    in_flight: int


class Remote:
    """The provider's process as others see it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self._process = process
        self.url = process.stdout.readline().strip()
        self.variables = {
            "EXEMPLARS_SYNTH_MODEL": "openai/gpt-4.1-mini",
            "EXEMPLARS_SYNTH_API_BASE": self.url,
            "EXEMPLARS_SYNTH_API_KEY": "sk-test",
            "EXEMPLARS_SYNTH_PRICE": "0.4/1.6",
        }

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def read(self) -> Asked:
        """What it was asked until now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Asked(**json.loads(self._process.stdout.readline()))


@contextmanager
def start_provider(seconds: float) -> Iterator[Remote]:
    """A provider in a process of its own, which ends with the block, or with this process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fakes.slow_provider", str(seconds)],
        cwd=ROOT / "tests",
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Remote(process)
        finally:
            process.terminate()


def main() -> None:
    """Serves until its standard input ends; each line there is answered by what was asked until then."""
    with serve(SlowProvider(float(sys.argv[1]))) as provider:
        print(provider.url, flush=True)
        for _ in sys.stdin:
            asked = {"calls": provider.calls.total(), "repeated": provider.repeated, "in_flight": provider.in_flight}
            print(json.dumps(asked), flush=True)


if __name__ == "__main__":
    main()
