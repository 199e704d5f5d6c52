"""The speed of calls: kept for each model's last run in a file of the cache folder, to estimate the next run."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from engine.errors import StoreError
from engine.estimate.call_kinds import CallKind
from engine.screening.in_context_judge import MAX_IN_FLIGHT
from engine.settings import Settings
from engine.system.filesystem import replace_file

FILE = "speeds.json"
# Fewer calls say little about the time of one call.
LEAST_CALLS = 4
# The in-context judge reads a prompt to write one token, in the time of this many written tokens.
JUDGED_AS_TOKENS = 20


@dataclass(frozen=True, slots=True)
class Speeds:
    """Seconds per call of each model on this machine, by ``_name``, and the limits on calls at once."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = 32
    requests_per_minute: float = math.inf

    def count_seconds(self, kinds: Iterable[CallKind]) -> float | None:
        """Return the seconds of all calls of these kinds together: from the last run, or from an embedded model's file
        size; None if neither is known for some kind.
        """
        total = last = 0.0
        for kind in kinds:
            calls, endpoint, thinking = kind.calls.likely, kind.endpoint, kind.examples[0].request.thinking
            took = self.seconds.get(_name(endpoint.identity, thinking, kind.judges))
            if took is None and endpoint.tokens_per_second is None:
                # Writing and judging stand in for each other: a vote takes no longer than a text.
                took = self.seconds.get(_name(endpoint.identity, thinking, not kind.judges))
            at_once = min(self.concurrency, endpoint.slots or self.concurrency)
            if kind.judges and endpoint.style == "plain":
                at_once = min(at_once, MAX_IN_FLIGHT)
            if took is not None:
                total, last = total + calls * max(took / at_once, 60 / self.requests_per_minute), max(last, took)
            elif endpoint.tokens_per_second is not None:
                tokens = JUDGED_AS_TOKENS if kind.judges else kind.reply_tokens.likely
                total += calls * tokens / endpoint.tokens_per_second
            else:
                return None
        # At the end the last call is in flight alone, so its whole time is added.
        return total + last


NO_SPEEDS = Speeds()


def read_speeds(settings: Settings) -> Speeds:
    """Return the speeds of the last runs; a missing or damaged file counts as empty."""
    return Speeds(_read(settings), settings.concurrency, settings.requests_per_minute or math.inf)


def keep_speeds(settings: Settings, took: Mapping[tuple[str, str, bool], Sequence[float]]) -> None:
    """Write the mean times of a run's calls, from ``RunForecast.took``, to the file.

    If two runs end at once, the times of one may be lost; the next run writes them again.
    """
    means = {_name(*key): round(fmean(seconds), 4) for key, seconds in took.items() if len(seconds) >= LEAST_CALLS}
    if means:
        # If this file cannot be written, replies could not be kept either.
        with suppress(StoreError):
            replace_file(f"{settings.cache_dir}/{FILE}", json.dumps({**_read(settings), **means}, indent=1).encode())


def _read(settings: Settings) -> dict[str, float]:
    with suppress(OSError, ValueError, TypeError, AttributeError):
        document = json.loads(Path(settings.cache_dir, FILE).read_bytes())
        return {name: float(seconds) for name, seconds in document.items()}
    return {}


def _name(identity: str, thinking: str, judges: bool) -> str:
    thinks = "" if thinking == "none" else f" thinking {thinking}"
    return f"{identity}{thinks}{' judging' if judges else ''}"
