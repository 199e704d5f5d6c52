"""The command ``exemplars backfill``: what it will do, how far it is, each model as it ends, and how to go on."""

import logging
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

from rich.text import Text

from engine.backfills.ledger import MODEL_STATES, ModelRow, ModelState
from engine.backfills.page import describe_row
from engine.backfills.targets import BackfillRequest, find_skip_reason, list_selected
from engine.errors import ExemplarsError, RunInterruptedError
from engine.estimate.estimate import OTHER_SECONDS, Estimate
from engine.llm.client.prices import add_costs
from engine.llm.embedded.embedded_models import is_embedded
from engine.settings import Settings
from engine.text.formatting import count_noun, format_cost, format_seconds
from flows.backfills.worker import CHECKED_AT_ONCE, MODELS_LOGGER
from flows.cli.console import make_console, make_live
from flows.cli.plan import plan_run

# A plan takes up to some seconds to make, so a few stand for all.
MAX_ESTIMATED = 5
# What a model takes of two cores beside its calls; half of it where they are idle (docs/guides/operate).
MODEL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a backfill will do: ``handles`` are those that have something to do, ``selected`` counts the others too.

    ``estimates`` are those of a few of them. ``calls`` is the likely number for all, 0 where it is not known.
    """

    selected: int
    handles: tuple[str, ...]
    estimates: tuple[Estimate, ...]

    @property
    def calls(self) -> int:
        """The likely calls of all models."""
        return round(self._scale * sum(estimate.total.likely.calls for estimate in self.estimates))

    @property
    def _scale(self) -> float:
        return len(self.handles) / len(self.estimates) if self.estimates else 0.0

    def find_seconds(self, models_at_once: int) -> float | None:
        """How long all models are likely to take; None where that is not known of some. On an embedded model they wait
        for one another, and hosted ones are asked for several at a time.
        """
        if not self.estimates or any(each.seconds is None for each in self.estimates):
            return None
        at_once = 1 if all(map(is_embedded, self.estimates[0].prices)) else models_at_once
        calls = sum(max((each.seconds or 0.0) - OTHER_SECONDS, 0.0) for each in self.estimates)
        return OTHER_SECONDS + self._scale * max(calls / at_once, MODEL_SECONDS * len(self.estimates))

    def describe_cost(self) -> str:
        """The likely and the most cost of all models, “which cost nothing” where that is so."""
        if all(estimate.is_free for estimate in self.estimates):
            return "which cost nothing"
        likely = add_costs(*(each.total.likely.cost_usd for each in self.estimates))
        most = add_costs(*(each.total.most.cost_usd for each in self.estimates))
        said = [format_cost(None if cost is None else self._scale * cost) for cost in (likely, most)]
        return f"likely {said[0]}, at most {said[1]}"


def look_ahead(settings: Settings, request: BackfillRequest) -> Outlook:
    """What the backfill will do. A model that cannot be read counts as one with something to do: its run says why.

    Raises:
        HandleError, InputError, StoreError: as ``list_selected``.
    """
    selected = list_selected(settings, request)
    with ThreadPoolExecutor(CHECKED_AT_ONCE) as pool:
        skipped = list(pool.map(partial(find_skip_reason, settings, request), selected))
    handles = tuple(handle for handle, reason in zip(selected, skipped, strict=True) if reason is None)
    step = max(1, math.ceil(len(handles) / MAX_ESTIMATED))
    return Outlook(len(selected), handles, tuple(_list_estimates(settings, request, handles[::step])))


def describe_begin(outlook: Outlook, request: BackfillRequest) -> str:
    """The lines that a backfill begins with: the models, the likely calls and cost, and the limits."""
    have = outlook.selected - len(outlook.handles)
    passed = f", {have:,} of them with nothing to do" if have else ""
    effort = f"effort {request.effort}" if request.effort else "each at its own effort"
    models = f"{count_noun(outlook.selected, 'model')}{passed}: {request.synth_type}, {effort}"
    lines = [f"{models}, {request.models_at_once} at a time"]
    estimates = outlook.estimates
    if estimates:
        seconds = outlook.find_seconds(request.models_at_once)
        time = "" if seconds is None else f"; about {format_seconds(seconds)}"
        names = ", ".join(dict.fromkeys(name for each in estimates for name in each.prices))
        some = f" (by {len(estimates)} of the {len(outlook.handles)} models)"
        lines.append(
            f"Estimate: about {count_noun(outlook.calls, 'call')} to {names}, {outlook.describe_cost()}{time}"
            + (some if len(estimates) < len(outlook.handles) else "")
        )
        limits = sorted({each.limit_usd for each in estimates if each.limit_usd is not None})
        each = f"{' or '.join(map(format_cost, limits))} for each model" if limits else "none for a model"
        together = "none" if request.max_cost_usd is None else format_cost(request.max_cost_usd)
        lines.append(f"Limits on cost: {each}, {together} for all together")
    return "\n".join(lines)


class BackfillProgress(logging.Handler):
    """Counts models, of all that are ``selected``, by what the backfill's logger says, and shows them meanwhile."""

    def __init__(self, selected: int) -> None:
        super().__init__()
        self._selected = selected
        self._states: dict[str, ModelState] = {}
        self._begun = time.monotonic()
        self._console = make_console(stderr=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a row of the ledger, printed where its model has ended; it must not raise."""
        event = getattr(record, "event", None)
        if isinstance(event, ModelRow):
            self._states[event.handle] = event.state
            if event.state != "runs":
                self._console.print(Text(describe_row(event)), soft_wrap=True)

    @contextmanager
    def showing(self, live: bool) -> Iterator[None]:
        """Inside the block rows and progress are shown.

        Args:
            live: whether a line at the foot of a terminal follows.
        """
        logger = logging.getLogger(MODELS_LOGGER)
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        try:
            drawn = make_live(self._console, lambda: Text(self.describe(time.monotonic()), style="bold"))
            with drawn if live and self._console.is_terminal else nullcontext():
                yield
        finally:
            logger.removeHandler(self)

    def describe_models(self) -> str:
        """“3 of 12 models are done, 1 of them failed”."""
        counts = Counter(self._states.values())
        done = counts["attached"] + counts["skipped"]
        failed = "".join(f", {counts[state]:,} {state}" for state in MODEL_STATES[4:] if counts[state])
        return f"{done:,} of {count_noun(self._selected, 'model')} done{failed}"

    def describe(self, now: float) -> str:
        """The whole in one line: models done, under way and failed, and the time left; ``now`` is monotonic."""
        parts = [self.describe_models()]
        counts = Counter(self._states.values())
        if counts["runs"]:
            parts.append(f"{counts['runs']} under way")
        # What was passed over took no time.
        ended, left = counts.total() - counts["runs"] - counts["skipped"], self._selected - len(self._states)
        if ended and left + counts["runs"]:
            seconds = (now - self._begun) * (left + counts["runs"]) / ended
            parts.append(f"about {format_seconds(seconds)} left")
        return ", ".join(parts)


@contextmanager
def telling_how_to_go_on(progress: BackfillProgress, typed: str) -> Iterator[None]:
    """Adds to an interruption inside the block how many models are done, and the command that goes on."""
    try:
        yield
    except RunInterruptedError as error:
        raise RunInterruptedError(f"{error}. {progress.describe_models()}. To go on: {typed}") from error


def _list_estimates(settings: Settings, request: BackfillRequest, handles: Sequence[str]) -> Iterator[Estimate]:
    for handle in handles:
        try:
            asked = settings, handle, request.synth_type, request.effort
            yield plan_run(*asked, prompts=0, per_pole=request.per_pole).estimate
        except ExemplarsError:
            continue
