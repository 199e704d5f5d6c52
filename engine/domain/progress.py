"""Define the events by which a run reports its progress, and by whom they are heard."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from engine.domain.model import Pole


@dataclass(frozen=True, slots=True)
class StageBegun:
    """The run has reached its next step; ``text`` is a line for a person."""

    text: str


@dataclass(frozen=True, slots=True)
class CallsPlanned:
    """``count`` more calls will be made, or answered from kept replies; those of ``judges`` write no texts."""

    count: int
    judges: bool = False


@dataclass(frozen=True, slots=True)
class CallBegun:
    """An attempt at a call has its turn; it may still wait for budget and rate. ``key`` names the call."""

    key: str = ""
    judges: bool = False


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call has its reply, or has failed for good. ``reused``: a kept reply was taken, nothing was sent.

    ``key`` names the call, as in ``CallBegun``.
    """

    completion_tokens: int = 0
    reused: bool = False
    key: str = ""
    judges: bool = False


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """A model has answered, be it with a refusal, after so many seconds.

    ``identity`` is that of the model's endpoint, which was asked for so much ``thinking``.
    """

    identity: str
    seconds: float
    thinking: str = "none"
    judges: bool = False


@dataclass(frozen=True, slots=True)
class CandidatesCounted:
    """Texts that have come and break no rule, by trait key and pole; they may still be rejected beside others."""

    texts: Mapping[tuple[str, Pole], int]


@dataclass(frozen=True, slots=True)
class LastCall:
    """No more calls will be made: what the estimate foresaw beyond those is not needed."""


@dataclass(frozen=True, slots=True)
class KeptCounted:
    """How many exemplars are chosen so far, and wanted, by trait key and pole."""

    kept: Mapping[tuple[str, Pole], int]
    quotas: Mapping[tuple[str, Pole], int]


@dataclass(frozen=True, slots=True)
class Noticed:
    """A message for whoever waits for the run; ``text`` is one or two sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class ExpectedCalls:
    """The likely calls of one kind, and how long they take together; None where that is not known."""

    calls: int = 0
    seconds: float | None = None

    @property
    def pace(self) -> float | None:
        """What each takes of the clock."""
        return None if self.seconds is None or not self.calls else self.seconds / self.calls


NO_CALLS = ExpectedCalls()


@dataclass(frozen=True, slots=True)
class EstimateMade:
    """The run's calls, tokens, cost and time have been estimated; ``text`` is a line for a person."""

    text: str
    writing: ExpectedCalls = NO_CALLS
    judging: ExpectedCalls = NO_CALLS


Event = (
    StageBegun
    | EstimateMade
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
    """Receives a run's events."""

    def report(self, event: Event) -> None:
        """Take one event; it must neither raise nor block."""


# What the command that runs the flow of this context has for its events; None where no command shows them.
LISTENER: ContextVar[Progress | None] = ContextVar("listener", default=None)
