"""Define the events of a run's progress, and the protocol of their receiver."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from engine.domain.definition import Pole


@dataclass(frozen=True, slots=True)
class StageBegun:
    """The run has started its next step; ``text`` is a line for a person."""

    text: str


@dataclass(frozen=True, slots=True)
class CallsPlanned:
    """``count`` more calls are planned, some answered from stored replies. Calls of ``judges`` write no texts."""

    count: int
    judges: bool = False


@dataclass(frozen=True, slots=True)
class CallBegun:
    """An attempt at a call has started; it may still wait for budget and rate. ``key`` names the call."""

    key: str = ""
    judges: bool = False


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call has its reply, or has finally failed. ``reused``: a stored reply was used, nothing was sent.

    ``key`` names the call, as in ``CallBegun``.
    """

    completion_tokens: int = 0
    reused: bool = False
    key: str = ""
    judges: bool = False


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """A model has answered or refused after ``seconds``.

    ``identity`` names the model's endpoint, ``thinking`` is the requested amount.
    """

    identity: str
    seconds: float
    thinking: str = "none"
    judges: bool = False


@dataclass(frozen=True, slots=True)
class CandidatesCounted:
    """Candidates that passed the rules, by trait key and pole. Comparison with other texts may still reject them."""

    texts: Mapping[tuple[str, Pole], int]


@dataclass(frozen=True, slots=True)
class LastCall:
    """No more calls follow: the remaining calls of the estimate are not needed."""


@dataclass(frozen=True, slots=True)
class KeptCounted:
    """Numbers of exemplars chosen so far, and their quotas, by trait key and pole."""

    kept: Mapping[tuple[str, Pole], int]
    quotas: Mapping[tuple[str, Pole], int]


@dataclass(frozen=True, slots=True)
class Noticed:
    """A message for the person who waits for the run; ``text`` is one or two sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class ExpectedCalls:
    """Expected number of calls of one kind, and their total time; None if it is unknown."""

    calls: int = 0
    seconds: float | None = None

    @property
    def pace(self) -> float | None:
        """Wall-clock seconds per call; None if unknown."""
        return None if self.seconds is None or not self.calls else self.seconds / self.calls


NO_CALLS = ExpectedCalls()


@dataclass(frozen=True, slots=True)
class EstimateReady:
    """The run's calls, tokens, cost and time have been estimated; ``text`` is a line for a person."""

    text: str
    writing: ExpectedCalls = NO_CALLS
    judging: ExpectedCalls = NO_CALLS


Event = (
    StageBegun
    | EstimateReady
    | CallsPlanned
    | CallBegun
    | CallEnded
    | CallAnswered
    | CandidatesCounted
    | LastCall
    | KeptCounted
    | Noticed
)


class Progress(Protocol):
    """A receiver of a run's events."""

    def report(self, event: Event) -> None:
        """Handle one event; must neither raise nor block."""


# Receiver of this context's events, set by the command that runs the flow; None if no command shows them.
LISTENER: ContextVar[Progress | None] = ContextVar("listener", default=None)
