"""Progress: what a run says of itself while it goes on, as events on a logger that a terminal may listen to."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.model import Pole

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
    """A call is in flight."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call has its reply, or will never have one. ``reused`` when it was kept from before and not in flight."""

    completion_tokens: int = 0
    reused: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class KeptCounted:
    """How many exemplars are chosen so far, of how many wanted, by trait and pole."""

    kept: Mapping[tuple[str, Pole], int]
    wanted: int


Event = StageBegun | CallsPlanned | CallBegun | CallEnded | KeptCounted


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
