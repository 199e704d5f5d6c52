"""Defines the events by which a run reports its progress, and puts them on a logger that a terminal can listen to."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.domain.model import Pole
from engine.domain.samples import Reason

PROGRESS_LOGGER = "exemplars.progress"


@dataclass(frozen=True, slots=True)
class StageBegun:
    """The run has reached its next step; ``text`` is a line for a person."""

    text: str


@dataclass(frozen=True, slots=True)
class CallsPlanned:
    """``count`` more calls will be made, or answered from kept replies."""

    count: int


@dataclass(frozen=True, slots=True)
class CallBegun:
    """An attempt at a call has its turn; it may still wait for budget and rate. ``key`` names the call."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call has its reply, or has failed for good. ``reused``: a kept reply was taken, nothing was sent.

    ``key`` names the call, as in ``CallBegun``.
    """

    completion_tokens: int = 0
    reused: bool = False
    failed: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class WaitedForTurn:
    """An attempt at a call has waited so many seconds for its turn among the run's calls."""

    model: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CallAttempted:
    """One attempt at a call has ended; a call may take several, and may fall back to another model.

    ``error`` names the kind of failure and is empty if the model answered; a refusal by the provider's content filter
    (``refused``) is an answer. ``permit_seconds`` is how long the attempt waited for the run's budget and for limits
    shared with other runs, ``seconds`` how long the model took.
    """

    model: str
    style: str
    seconds: float
    permit_seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    refused: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class KeptCounted:
    """How many exemplars are chosen so far, and wanted, by trait key and pole, and how many rejected by reason."""

    kept: Mapping[tuple[str, Pole], int]
    quotas: Mapping[tuple[str, Pole], int]
    rejected: Mapping[Reason, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All quotas together."""
        return sum(self.quotas.values())

    @property
    def is_met(self) -> bool:
        """Whether every quota is met."""
        return bool(self.quotas) and all(self.kept.get(key, 0) >= quota for key, quota in self.quotas.items())


@dataclass(frozen=True, slots=True)
class Noticed:
    """A message for whoever waits for the run; ``text`` is one or two sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class EstimateMade:
    """The run's calls, tokens and cost have been estimated; ``text`` is a line for a person."""

    text: str


Event = (
    StageBegun
    | EstimateMade
    | CallsPlanned
    | CallBegun
    | CallEnded
    | WaitedForTurn
    | CallAttempted
    | KeptCounted
    | Noticed
)


class ProgressFraction:
    """Estimates from a run's events which fraction of it is done; ``value`` is in [0, 1] and never falls.

    The number of rounds is not known beforehand. Up to ``CALLS_WEIGHT`` the fraction is that of the calls, assuming two
    calls for each cell (it is generated, and judged); the quotas being met raises it to ``CALLS_WEIGHT``.
    """

    CALLS_WEIGHT = 0.9

    def __init__(self) -> None:
        self.value = 0.0
        self._planned = 0
        self._done = 0
        self._expected = 0

    def take(self, event: Event) -> None:
        """Takes one event into account."""
        if isinstance(event, CallsPlanned):
            self._planned += event.count
            self._expected = self._expected or 2 * event.count
        elif isinstance(event, CallEnded):
            self._done += 1
        elif isinstance(event, KeptCounted) and event.is_met:
            self._raise_to(self.CALLS_WEIGHT)
        if calls := max(self._planned, self._expected):
            self._raise_to(self.CALLS_WEIGHT * min(1.0, self._done / calls))

    def _raise_to(self, value: float) -> None:
        self.value = max(self.value, round(value, 3))


class Progress(Protocol):
    """Receives a run's events."""

    def report(self, event: Event) -> None:
        """Takes one event; it must neither raise nor block."""


class LoggedProgress:
    """Puts events on the logger ``exemplars.progress``, each as the record's attribute ``event``."""

    def report(self, event: Event) -> None:
        """Logs the event at DEBUG, which costs next to nothing if nobody listens."""
        logging.getLogger(PROGRESS_LOGGER).debug("%s", event, extra={"event": event})
