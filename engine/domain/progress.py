"""Progress: what a run says of itself while it goes on, as events on a logger that a terminal may listen to."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from engine.domain.model import Pole
from engine.domain.samples import Reason

PROGRESS_LOGGER = "exemplars.progress"


@dataclass(frozen=True, slots=True)
class StageBegun:
    """The run has come to a step of its walk; ``text`` is a line for a person."""

    text: str


@dataclass(frozen=True, slots=True)
class CallsPlanned:
    """So many calls more will be made, or answered from what is kept."""

    count: int


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call is in flight. ``key`` names the call; each of its attempts has this event."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call has its reply, or will never have one. ``reused`` when it was kept from before and not in flight.

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
    """One attempt at a call has ended, at whichever model.

    ``error`` names the kind of failure; it is empty where the model answered, a refusal of the prompt included.
    ``permit_seconds`` is how long the attempt waited for the run's money and for the limits that runs share,
    ``seconds`` how long the model took.
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
    """How many exemplars are chosen so far, of how many wanted, by trait and pole, and how many rejected, by reason."""

    kept: Mapping[tuple[str, Pole], int]
    wanted: int
    rejected: Mapping[Reason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that a person who waits for the run wants to know; ``text`` is a sentence or two."""

    text: str


@dataclass(frozen=True, slots=True)
class EstimateMade:
    """What the run will come to is known; ``text`` is a line for a person."""

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
    """The share of a run that is done, as its events tell it; it never goes back.

    Nobody knows beforehand how many rounds there will be: for most of the way the share is that of the calls, where
    each cell is thought to cost two of them (it is asked for, and judged), and the rest comes when the quotas are met.
    """

    CALLS_WEIGHT = 0.9

    def __init__(self) -> None:
        self.value = 0.0
        self._planned = 0
        self._done = 0
        self._expected = 0

    def take(self, event: Event) -> None:
        """Adds one event."""
        if isinstance(event, CallsPlanned):
            self._planned += event.count
            self._expected = self._expected or 2 * event.count
        elif isinstance(event, CallEnded):
            self._done += 1
        elif isinstance(event, KeptCounted) and event.kept and min(event.kept.values()) >= event.wanted:
            self._raise_to(self.CALLS_WEIGHT)
        if calls := max(self._planned, self._expected):
            self._raise_to(self.CALLS_WEIGHT * min(1.0, self._done / calls))

    def _raise_to(self, value: float) -> None:
        self.value = max(self.value, round(value, 3))


class Progress(Protocol):
    """Where a run's events go."""

    def report(self, event: Event) -> None:
        """Takes one event; must not raise, must not block."""


class LoggedProgress:
    """Puts events on the logger ``exemplars.progress``, each as the record's attribute ``event``."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(PROGRESS_LOGGER)

    def report(self, event: Event) -> None:
        """Logs the event; a record costs nothing where nobody listens."""
        self._logger.debug("%s", event, extra={"event": event})
