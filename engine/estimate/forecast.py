"""Forecast a run from its events, for terminal, run page and backfill: its progress, and the calls to come."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.definition import Pole
from engine.domain.progress import (
    NO_CALLS,
    CallAnswered,
    CallBegun,
    CallEnded,
    CallsPlanned,
    CandidatesCounted,
    EstimateReady,
    Event,
    ExpectedCalls,
    KeptCounted,
    LastCall,
    Noticed,
    StageBegun,
)
from engine.text.formatting import count_noun, format_seconds

# The pace of earlier runs weighs as much as this many calls: an embedded model's first replies are slow, because each
# reads a prompt that later replies share.
TRUSTED_CALLS = 24
# Without a pace of earlier runs, no time is given before this many replies.
FEW_CALLS = 8
CALLS_SHARE = 0.9


@dataclass(slots=True)
class _Stage:
    """The calls that write texts, or the calls that judge texts.

    ``expected`` are the calls of the estimate, ``planned`` the number of calls announced so far, ``busy_seconds`` the
    time during which at least one was in flight.
    """

    expected: ExpectedCalls = NO_CALLS
    planned: int = 0
    done: int = 0
    reused: int = 0
    busy_seconds: float = 0.0
    in_flight: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        # The one call for subjects is not announced.
        return max(self.expected.calls, self.planned, self.done + len(self.in_flight))

    def find_pace(self) -> float | None:
        """Return wall seconds per call: the estimate, weighted more and more by this run's calls; None if unknown."""
        answered = self.done - self.reused
        # A call in flight counts as half done.
        worked = answered + len(self.in_flight) / 2
        if (pace := self.expected.pace) is not None:
            return (pace * TRUSTED_CALLS + self.busy_seconds) / (TRUSTED_CALLS + worked)
        return self.busy_seconds / worked if answered >= max(FEW_CALLS, len(self.in_flight)) else None


@dataclass(slots=True, eq=False)
class RunForecast:
    """A run's progress: its last message, kept texts, calls so far and to come, and the time left.

    Until ``LastCall``, the calls to come are all calls of the estimate, with the calls of judges and of likely further
    rounds.

    Args:
        share: the share of calls that are done, up to ``CALLS_SHARE``; in [0, 1], and never falls.
        kept: by trait key and pole, like ``quotas``; empty before anything is counted.
        cost_usd: set after the run's last call; None while it is not known.
        began: a moment of the monotonic clock.
        candidates: the texts to choose from, by trait key and pole.
        took: the seconds of each call, by the model's identity, how much it thinks, and whether it judges.
    """

    stage: str = "Getting ready"
    notice: str = ""
    share: float = 0.0
    kept: Mapping[tuple[str, Pole], int] = field(default_factory=dict)
    quotas: Mapping[tuple[str, Pole], int] = field(default_factory=dict)
    cost_usd: float | None = None
    began: float = field(default_factory=time.monotonic)
    candidates: Counter[tuple[str, Pole]] = field(default_factory=Counter)
    took: dict[tuple[str, str, bool], list[float]] = field(default_factory=dict)
    _stages: dict[bool, _Stage] = field(default_factory=lambda: {False: _Stage(), True: _Stage()})
    _tokens: int = 0
    _seen_at: float | None = None

    @property
    def planned(self) -> int:
        """Return the known number of calls of the whole run."""
        return sum(stage.total for stage in self._stages.values())

    @property
    def is_waiting(self) -> bool:
        """Return whether a call is in flight."""
        return any(stage.in_flight for stage in self._stages.values())

    @property
    def is_begun(self) -> bool:
        """Return whether any call has begun."""
        return any(stage.done or stage.in_flight for stage in self._stages.values())

    def report(self, event: Event) -> None:
        """Take one event at the moment when it occurs."""
        self.take(event, time.monotonic())

    def take(self, event: Event, now: float) -> None:
        """Take one event into account; ``now`` is the time of a monotonic clock, in seconds."""
        for stage in self._stages.values():
            stage.busy_seconds += now - (self._seen_at or now) if stage.in_flight else 0.0
        self._seen_at = now
        if isinstance(event, CallsPlanned | CallBegun | CallEnded):
            self._take_call(event, self._stages[event.judges])
        elif isinstance(event, EstimateReady):
            self._stages[False].expected, self._stages[True].expected = event.writing, event.judging
        else:
            self._take_status(event)
        if self.planned:
            share = CALLS_SHARE * sum(stage.done for stage in self._stages.values()) / self.planned
            self.share = max(self.share, round(share, 3))

    def _take_status(self, event: Event) -> None:
        if isinstance(event, StageBegun):
            self.stage = event.text
        elif isinstance(event, Noticed):
            self.notice = event.text
        elif isinstance(event, CandidatesCounted):
            self.candidates.update(event.texts)
        elif isinstance(event, KeptCounted):
            self.kept, self.quotas = event.kept, event.quotas
            # The choice among the candidates is done.
            self.candidates.clear()
        elif isinstance(event, CallAnswered):
            self.took.setdefault((event.identity, event.thinking, event.judges), []).append(event.seconds)
        elif isinstance(event, LastCall):
            for stage in self._stages.values():
                stage.expected, stage.planned = NO_CALLS, 0

    def _take_call(self, event: CallsPlanned | CallBegun | CallEnded, stage: _Stage) -> None:
        if isinstance(event, CallsPlanned):
            stage.planned += event.count
        elif isinstance(event, CallBegun):
            stage.in_flight.add(event.key)
        else:
            stage.done, stage.reused = stage.done + 1, stage.reused + event.reused
            stage.in_flight.discard(event.key)
            self._tokens += 0 if event.reused else event.completion_tokens

    def describe(self) -> str:
        """Return “70 of about 120 calls, 8 in flight, 50 tokens/s, 61 candidates passed the rules, about 30 s left”."""
        stages = self._stages.values()
        done, in_flight = sum(stage.done for stage in stages), sum(len(stage.in_flight) for stage in stages)
        about = "about " if any(stage.expected.calls > stage.planned for stage in stages) else ""
        parts = [f"{done:,} of {about}{count_noun(self.planned, 'call')}", f"{in_flight} in flight"]
        if in_flight and not done:
            # On a busy machine this takes an embedded model a minute.
            parts.append("the model reads the prompts")
        if reused := sum(stage.reused for stage in stages):
            parts.append(f"{reused:,} from kept replies")
        if self._tokens and (busy := sum(stage.busy_seconds for stage in stages)):
            parts.append(f"{self._tokens / busy:.0f} tokens/s")
        if candidates := self.candidates.total():
            parts.append(f"{count_noun(candidates, 'candidate')} passed the rules")
        return ", ".join([*parts, *self.describe_left()])

    def describe_left(self) -> list[str]:
        """Return the time of the calls to come, as a list of one part; an empty list if it is not known."""
        left = 0.0
        for stage in self._stages.values():
            pace = stage.find_pace()
            if stage.total > stage.done and pace is None:
                return []
            left += (stage.total - stage.done) * (pace or 0.0)
        return [f"about {format_seconds(left)} left"] if left else []
