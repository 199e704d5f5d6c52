"""Adds up a run's events for terminal, run page and backfill: how far it is, and which calls are to come."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.model import Pole
from engine.domain.progress import (
    NO_CALLS,
    CallAnswered,
    CallBegun,
    CallEnded,
    CallsPlanned,
    CandidatesCounted,
    EstimateMade,
    Event,
    ExpectedCalls,
    KeptCounted,
    LastCall,
    Noticed,
    StageBegun,
)
from engine.text.formatting import count_noun, format_seconds

# What was known of the models before counts as much as so many calls: an embedded model's first replies come late,
# since each has a prompt to read that later ones share.
TRUSTED_CALLS = 24
# Where nothing was known no time is told before so many replies.
FEW_CALLS = 8
CALLS_SHARE = 0.9


@dataclass(slots=True)
class _Stage:
    """The calls of one kind: those that write texts, or those that judge them.

    ``expected`` is what the estimate foresees, ``planned`` how many are known to come, ``busy_seconds`` how long some
    were in flight.
    """

    expected: ExpectedCalls = NO_CALLS
    planned: int = 0
    done: int = 0
    reused: int = 0
    busy_seconds: float = 0.0
    in_flight: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        # The one call for subjects is in nobody's plan.
        return max(self.expected.calls, self.planned, self.done + len(self.in_flight))

    def find_pace(self) -> float | None:
        """What a call takes of the clock: by the estimate, and more and more by those of this run; None: not known."""
        asked = self.done - self.reused
        # Those in flight are half done.
        made = asked + len(self.in_flight) / 2
        if (pace := self.expected.pace) is not None:
            return (pace * TRUSTED_CALLS + self.busy_seconds) / (TRUSTED_CALLS + made)
        return self.busy_seconds / made if asked >= max(FEW_CALLS, len(self.in_flight)) else None


@dataclass(slots=True, eq=False)
class RunForecast:
    """How far a run is: what it last said, the texts that are kept, calls so far and to come, and the time left.

    To come are all calls that the estimate foresees, those of judges and of likely further rounds too, up to
    ``LastCall``.

    Args:
        share: that of the calls which is done, up to ``CALLS_SHARE``; in [0, 1], and never falls.
        kept: by trait key and pole, as ``quotas``; empty before anything is counted.
        cost_usd: set when the run has asked for the last time; None while it is not known.
        began: a moment of the monotonic clock.
        standing: the texts to choose from, by trait key and pole.
        took: the seconds of each call, by the model's identity, how much it thinks, and whether it judges.
    """

    stage: str = "Getting ready"
    notice: str = ""
    share: float = 0.0
    kept: Mapping[tuple[str, Pole], int] = field(default_factory=dict)
    quotas: Mapping[tuple[str, Pole], int] = field(default_factory=dict)
    cost_usd: float | None = None
    began: float = field(default_factory=time.monotonic)
    standing: Counter[tuple[str, Pole]] = field(default_factory=Counter)
    took: dict[tuple[str, str, bool], list[float]] = field(default_factory=dict)
    _stages: dict[bool, _Stage] = field(default_factory=lambda: {False: _Stage(), True: _Stage()})
    _tokens: int = 0
    _seen_at: float | None = None

    @property
    def planned(self) -> int:
        """The calls of the whole run, as far as they are foreseen."""
        return sum(stage.total for stage in self._stages.values())

    @property
    def is_waiting(self) -> bool:
        """Whether a call is in flight."""
        return any(stage.in_flight for stage in self._stages.values())

    @property
    def is_begun(self) -> bool:
        """Whether a call is in flight, or has been."""
        return any(stage.done or stage.in_flight for stage in self._stages.values())

    def report(self, event: Event) -> None:
        """Takes one event, the moment that it comes."""
        self.take(event, time.monotonic())

    def take(self, event: Event, now: float) -> None:
        """Takes one event into account; ``now`` is of a monotonic clock, in seconds."""
        for stage in self._stages.values():
            stage.busy_seconds += now - (self._seen_at or now) if stage.in_flight else 0.0
        self._seen_at = now
        if isinstance(event, CallsPlanned | CallBegun | CallEnded):
            self._take_call(event, self._stages[event.judges])
        elif isinstance(event, EstimateMade):
            self._stages[False].expected, self._stages[True].expected = event.writing, event.judging
        else:
            self._take_word(event)
        if self.planned:
            share = CALLS_SHARE * sum(stage.done for stage in self._stages.values()) / self.planned
            self.share = max(self.share, round(share, 3))

    def _take_word(self, event: Event) -> None:
        if isinstance(event, StageBegun):
            self.stage = event.text
        elif isinstance(event, Noticed):
            self.notice = event.text
        elif isinstance(event, CandidatesCounted):
            self.standing.update(event.texts)
        elif isinstance(event, KeptCounted):
            self.kept, self.quotas = event.kept, event.quotas
            # What stood has been chosen among.
            self.standing.clear()
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
        """“70 of about 120 calls, 8 in flight, 50 tokens/s, 61 texts stand by the rules, about 30 s left”."""
        stages = self._stages.values()
        done, in_flight = sum(stage.done for stage in stages), sum(len(stage.in_flight) for stage in stages)
        about = "about " if any(stage.expected.calls > stage.planned for stage in stages) else ""
        parts = [f"{done:,} of {about}{count_noun(self.planned, 'call')}", f"{in_flight} in flight"]
        if in_flight and not done:
            # Which on a busy machine takes an embedded model a minute.
            parts.append("the model reads the prompts")
        if reused := sum(stage.reused for stage in stages):
            parts.append(f"{reused:,} from kept replies")
        if self._tokens and (busy := sum(stage.busy_seconds for stage in stages)):
            parts.append(f"{self._tokens / busy:.0f} tokens/s")
        if standing := self.standing.total():
            parts.append(f"{count_noun(standing, 'text')} {'stands' if standing == 1 else 'stand'} by the rules")
        return ", ".join([*parts, *self.describe_left()])

    def describe_left(self) -> list[str]:
        """How long the calls that are to come take, as a list of one part; an empty list where that is not known."""
        left = 0.0
        for stage in self._stages.values():
            pace = stage.find_pace()
            if stage.total > stage.done and pace is None:
                return []
            left += (stage.total - stage.done) * (pace or 0.0)
        return [f"about {format_seconds(left)} left"] if left else []
