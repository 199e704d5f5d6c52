"""How far a backfill is, on stderr: a line for each model that ends, and one line that follows the whole."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.text import Text

from engine.backfills.ledger import MODEL_STATES, ModelRow, ModelState
from engine.backfills.page import describe_row, format_seconds
from engine.domain.progress import PROGRESS_LOGGER, CallEnded, CallsPlanned
from engine.text.formatting import count_noun
from flows.backfills.worker import MODELS_LOGGER
from flows.cli.console import make_console, make_live


class BackfillProgress(logging.Handler):
    """Counts models and calls by what the backfill's loggers say, and shows them while it goes on.

    Args:
        selected: how many models there are.
        expected_calls: the likely number of calls; 0 where it is not known.
    """

    def __init__(self, selected: int, expected_calls: int) -> None:
        super().__init__()
        self._selected = selected
        self._expected_calls = expected_calls
        self._states: dict[str, ModelState] = {}
        self._planned = self._calls = self._failed_calls = 0
        self._begun: float | None = None
        self._console = make_console(stderr=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a row of the ledger, printed where its model has ended, or an event of a run; it must not raise."""
        event = getattr(record, "event", None)
        if isinstance(event, ModelRow):
            self._states[event.handle] = event.state
            if event.state != "runs":
                self._console.print(Text(describe_row(event)), soft_wrap=True)
        elif isinstance(event, CallsPlanned):
            self._planned += event.count
        elif isinstance(event, CallEnded):
            self._begun = self._begun or time.monotonic()
            self._calls += 1
            self._failed_calls += event.failed

    @contextmanager
    def showing(self, live: bool) -> Iterator[None]:
        """Inside the block rows and progress are shown.

        Args:
            live: whether a line at the foot of a terminal follows.
        """
        loggers = [logging.getLogger(name) for name in (MODELS_LOGGER, PROGRESS_LOGGER)]
        for logger in loggers:
            logger.addHandler(self)
            logger.setLevel(logging.DEBUG)
            logger.propagate = False
        try:
            drawn = make_live(self._console, lambda: Text(self.describe(time.monotonic()), style="bold"))
            with drawn if live and self._console.is_terminal else nullcontext():
                yield
        finally:
            for logger in loggers:
                logger.removeHandler(self)

    def describe_models(self) -> str:
        """“3 of 12 models are done, 1 of them failed”."""
        counts = Counter(self._states.values())
        done = counts["attached"] + counts["skipped"]
        failed = "".join(f", {counts[state]:,} {state}" for state in MODEL_STATES[4:] if counts[state])
        return f"{done:,} of {count_noun(self._selected, 'model')} done{failed}"

    def describe(self, now: float) -> str:
        """The whole in one line: models done, under way and failed, calls, time left; ``now`` is monotonic."""
        parts = [self.describe_models()]
        if under_way := list(self._states.values()).count("runs"):
            parts.append(f"{under_way} under way")
        if self._calls:
            expected = f" of about {max(self._expected_calls, self._planned):,}" if self._expected_calls else ""
            failed = f" ({self._failed_calls:,} failed)" if self._failed_calls else ""
            parts.append(f"{self._calls:,}{expected} calls{failed}")
        if (left := self._estimate_seconds(now)) is not None:
            parts.append(f"about {format_seconds(left)} left")
        return ", ".join(parts)

    def _estimate_seconds(self, now: float) -> float | None:
        """The seconds left, at the pace since the first call; None where nothing tells."""
        ended = sum(state != "runs" for state in self._states.values())
        share = ended / self._selected if self._selected else 1.0
        if self._expected_calls:
            share = max(share, self._calls / max(self._expected_calls, self._planned))
        return (now - self._begun) * (1 - share) / share if self._begun is not None and 0 < share < 1 else None
