"""Terminal output of ``exemplars backfill``: the estimate, the progress, each ended model, and how to resume."""

import math
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

from rich.text import Text

from engine.backfills.ledger import ModelRow, ModelState
from engine.backfills.page import describe_row
from engine.backfills.targets import BackfillRequest, examine, list_selected
from engine.domain.verdict import SkipReason
from engine.errors import ExemplarsError, InputError, RunInterruptedError
from engine.estimate.estimate import Estimate, add_estimates, explain_estimate, format_estimate
from engine.estimate.planned_run import PlannedRun
from engine.settings import Settings
from engine.system.concurrency import holding
from engine.text.formatting import count_noun, format_cost, format_seconds, join_words, name_some
from flows.backfills.worker import CHECKED_AT_ONCE, TELL
from flows.cli.console import make_console, make_live, make_table, say_reading
from flows.cli.plan import plan_run

# A plan takes up to some seconds, so a few models represent all.
MAX_ESTIMATED = 5
# States that the progress line counts after the done models.
OTHER_STATES: tuple[ModelState, ...] = ("in a batch", "failed", "busy elsewhere", "cancelled")


@dataclass(frozen=True, slots=True)
class BackfillEstimate:
    """The models, calls, time and cost of a backfill before it starts.

    Args:
        handles: the models that need a run; ``skipped`` has the reason for each other selected model.
        planned: the runs of ``handles``, or of a few of them; ``refused`` has the reasons why some would not start.
        total: the estimate for all ``handles``.
    """

    handles: tuple[str, ...]
    skipped: Mapping[str, SkipReason]
    planned: tuple[PlannedRun, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    total: Estimate = field(default_factory=lambda: add_estimates([]))

    @property
    def selected(self) -> int:
        """The number of selected models."""
        return len(self.handles) + len(self.skipped)


def make_request(given: Mapping[str, Any]) -> BackfillRequest:
    """Return the request for the typed options, given by field name; other names are ignored.

    Raises:
        HandleError, InputError: an option is invalid.
    """
    params = {item.name: given[item.name] for item in fields(BackfillRequest) if item.name in given}
    single = {name: _take_one(f"--{name}", given[name]) for name in ("namespace", "glob")}
    return BackfillRequest(**{**params, **single, "handles": tuple(given["handles"] or ())})


def _take_one(option: str, given: Sequence[str] | None) -> str | None:
    if given and len(given) > 1:
        raise InputError(
            f"{option} takes one value, and {len(given)} are given: {', '.join(given)}. Type the command once for "
            "each, or select all of them with one --glob, such as '[ab]*'"
        )
    return given[0] if given else None


def estimate_backfill(
    settings: Settings, request: BackfillRequest, most: int | None = MAX_ESTIMATED
) -> BackfillEstimate:
    """Estimate the backfill. An unreadable model counts as one that needs a run: its run reports the reason.

    Args:
        most: maximum number of planned models; None for all.

    Raises:
        HandleError, InputError, StoreError: as ``list_selected``.
    """
    selected = list_selected(settings, request)
    say_reading(len(selected))
    with ThreadPoolExecutor(CHECKED_AT_ONCE) as pool:
        statuses = dict(zip(selected, pool.map(partial(examine, settings, request), selected), strict=True))
    skipped = {handle: each.skip_reason for handle, each in statuses.items() if each.skip_reason is not None}
    handles = tuple(handle for handle in selected if handle not in skipped)
    chosen = handles[:: max(1, math.ceil(len(handles) / (most or len(handles) or 1)))]
    planned, refused, console = list[PlannedRun](), dict[str, str](), make_console(stderr=True)
    done = make_live(console, lambda: Text(f"{len(planned) + len(refused):,} of {len(chosen):,} models are planned"))
    with done if console.is_terminal else nullcontext():
        for handle in chosen:
            try:
                planned.append(plan_run(settings, request.ask_for(handle), prompts=0))
            except ExemplarsError as error:
                refused[handle] = str(error)
    refused |= {each.handle: each.refused for each in planned if each.refused}
    total = add_estimates(
        [each.estimate for each in planned],
        # A model that cannot be planned asks nothing.
        len(handles) / max(1, len(chosen)),
        request.models_at_once,
        settings.requests_per_minute or math.inf,
    )
    return BackfillEstimate(handles, skipped, tuple(planned), refused, total)


def describe_begin(forecast: BackfillEstimate, request: BackfillRequest) -> str:
    """Return the first lines of a backfill: the models, the skipped models, the likely calls and cost, the limits."""
    idle = f", {len(forecast.skipped):,} of them with nothing to do" if forecast.skipped else ""
    effort = f"effort {request.effort}" if request.effort else "each at its own effort"
    models = f"{count_noun(forecast.selected, 'model')}{idle}: {request.synth_type}, {effort}"
    lines = [f"{models}, {request.models_at_once} at a time"]
    for reason in dict.fromkeys(skipped.reason for skipped in forecast.skipped.values()):
        handles = [handle for handle, skipped in forecast.skipped.items() if skipped.reason == reason]
        lines.append(f"Skipped: {name_some(handles)}. {reason}")
    if forecast.planned:
        planned, total = forecast.planned, forecast.total
        is_part = len(planned) < len(forecast.handles)
        basis = f" (from {len(planned)} of {len(forecast.handles)} models)" if is_part else ""
        lines += [f"Models that are called: {join_words(list(total.prices))}", f"{format_estimate(total)}{basis}"]
        limits = sorted({each.estimate.limit_usd for each in planned if each.estimate.limit_usd is not None})
        each = f"{' or '.join(map(format_cost, limits))} for each model" if limits else "none for a model"
        together = "none" if request.max_cost_usd is None else format_cost(request.max_cost_usd)
        likely_usd = total.total.likely.cost_usd or math.inf
        share = math.inf if request.max_cost_usd is None else request.max_cost_usd / likely_usd
        ends = f", where it is likely to stop with about {100 * share:.0f} % done" if 0 < share < 1 else ""
        lines.append(f"Limits on cost: {each}, {together} for all together{ends}")
    return "\n".join(lines)


def show_estimate(forecast: BackfillEstimate, request: BackfillRequest) -> None:
    """Print the plan of many models: the first lines of a backfill, a row for each model, and refusals."""
    console = make_console()
    console.print("A dry run, no model is called and nothing is written", style="bold")
    console.print(Text(describe_begin(forecast, request)))
    table = make_table("model", numbers=("calls", "tokens in", "tokens out", "cost"))
    for planned in forecast.planned:
        likely = planned.estimate.total.likely
        counts = likely.calls, likely.tokens_in, likely.tokens_out
        table.add_row(Text(planned.handle), *(f"{count:,}" for count in counts), format_cost(likely.cost_usd))
    console.print(table)
    for sentence in explain_estimate(forecast.total):
        console.print(Text(sentence))
    for handle, why in forecast.refused.items():
        console.print(Text(f"{handle} would be refused now: {why}"), soft_wrap=True)


def describe_json(forecast: BackfillEstimate) -> dict[str, Any]:
    """Return the plan of many models as JSON: the plan of each, the sum, and the time of the backfill in seconds."""
    return {
        "models": [asdict(planned) for planned in forecast.planned],
        "total": asdict(forecast.total.total),
        "seconds": forecast.total.seconds,
        "refused": dict(forecast.refused),
        "skipped": {handle: reason.reason for handle, reason in forecast.skipped.items()},
    }


class BackfillProgress:
    """Show the progress over ``selected`` models, from the rows that the backfill's worker reports.

    The output before the start already listed the models in ``skipped``: their rows are shown only if they need a run.
    """

    def __init__(self, selected: int, skipped: Collection[str] = ()) -> None:
        self._selected = selected
        self._skipped = skipped
        self._states: dict[str, ModelState] = {}
        self._begun = time.monotonic()
        self._console = make_console(stderr=True)

    def tell(self, item: ModelRow | str) -> None:
        """Print a sentence, or a row of the ledger if its model has ended; must not raise."""
        if isinstance(item, ModelRow):
            self._states[item.handle] = item.state
            if item.state == "runs" or (item.state == "skipped" and item.handle in self._skipped):
                return
        self._console.print(Text(describe_row(item) if isinstance(item, ModelRow) else item), soft_wrap=True)

    @contextmanager
    def showing(self, live: bool, typed: str = "") -> Iterator[None]:
        """Show rows and progress inside the block.

        Args:
            live: whether to keep a progress line at the foot of a terminal.
            typed: the typed command, which the message of an interruption repeats.
        """
        live_line = make_live(self._console, lambda: Text(self.describe(time.monotonic()), style="bold"))
        try:
            with holding(TELL, self.tell), live_line if live and self._console.is_terminal else nullcontext():
                yield
        except RunInterruptedError as error:
            raise RunInterruptedError(f"{error}. {self.describe_models()}. To resume: {typed}") from error

    def describe_models(self) -> str:
        """Return the counts of done models and of other ended states: “3 of 12 models done, 1 failed”."""
        counts = Counter(self._states.values())
        done = counts["attached"] + counts["skipped"]
        failed = "".join(f", {counts[state]:,} {state}" for state in OTHER_STATES if counts[state])
        return f"{done:,} of {count_noun(self._selected, 'model')} done{failed}"

    def describe(self, now: float) -> str:
        """Return the progress line: models done, failed and under way, and the time left; ``now`` is monotonic."""
        parts = [self.describe_models()]
        counts = Counter(self._states.values())
        if counts["runs"]:
            parts.append(f"{counts['runs']} under way")
        # Skipped models took no time.
        ended, left = counts.total() - counts["runs"] - counts["skipped"], self._selected - len(self._states)
        if ended and left + counts["runs"]:
            seconds = (now - self._begun) * (left + counts["runs"]) / ended
            parts.append(f"about {format_seconds(seconds)} left")
        return ", ".join(parts)
