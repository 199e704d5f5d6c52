"""What a provider has seen of calls: how many in the worst minute, whichever second it begins with."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fakes.site import clear_environment
from fakes.workspace import ROOT

CALLERS = Path(__file__).with_name("callers.py")


@dataclass(frozen=True, slots=True)
class Seen:
    """The calls of all processes in the order in which they came: when, and how many tokens each used."""

    calls: Sequence[tuple[float, int]]
    costs: Sequence[Mapping[str, float]] = field(default_factory=tuple)

    @property
    def seconds(self) -> float:
        """From the first call to the last."""
        return self.calls[-1][0] - self.calls[0][0]

    @property
    def calls_per_minute(self) -> float:
        """On average."""
        return 60 * (len(self.calls) - 1) / self.seconds

    @property
    def tokens_per_minute(self) -> float:
        """On average."""
        return 60 * sum(tokens for _, tokens in self.calls[1:]) / self.seconds

    def count_most(self, seconds: float = 60.0) -> tuple[int, int]:
        """The most calls, and the most tokens, in any so many seconds."""
        first = tokens = most_calls = most_tokens = 0
        for last, (moment, used) in enumerate(self.calls):
            tokens += used
            while moment - self.calls[first][0] >= seconds:
                tokens -= self.calls[first][1]
                first += 1
            most_calls, most_tokens = max(most_calls, last - first + 1), max(most_tokens, tokens)
        return most_calls, most_tokens

    def show(self) -> str:
        """What was measured, for a person."""
        begun, most = self.calls[0][0], self.count_most()
        calls: Counter[int] = Counter()
        tokens: Counter[int] = Counter()
        for moment, used in self.calls:
            calls[int(moment - begun) // 60] += 1
            tokens[int(moment - begun) // 60] += used
        means = (f"{mean:.1f} a minute" for mean in (self.calls_per_minute, self.tokens_per_minute))
        parts = [
            f"{what} each minute {list(counts.values())}, in any 60 s at most {worst}, {mean}"
            for what, counts, worst, mean in zip(("calls", "tokens"), (calls, tokens), most, means, strict=True)
        ]
        if self.costs:
            asked, cpu = (sum(cost[name] for cost in self.costs) for name in ("requests_per_second", "cpu_seconds"))
            parts.append(f"{asked:.1f} requests to Prefect a second, {cpu:.1f} CPU-s of the callers")
        return "; ".join([f"\n{self.seconds:.0f} s", *parts])


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


def gather(callers: Sequence["subprocess.Popen[str]"]) -> Seen:
    """What was seen of the processes when they have ended well."""
    calls, costs = [], []
    for process in callers:
        out, said = process.communicate()
        assert 0 == process.returncode, said
        calls += [(float(moment), int(tokens)) for moment, tokens in (line.split() for line in out.splitlines())]
        costs.append(json.loads(said.splitlines()[-1]))
    return Seen(sorted(calls), costs)
