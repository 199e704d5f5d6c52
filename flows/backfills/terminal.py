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
from engine.estimate.call_kinds import Spread
from engine.estimate.estimate import OTHER_SECONDS, Amount, Estimate, add_amounts
from engine.estimate.planned_run import PlannedRun
from engine.llm.embedded.embedded_models import is_embedded
from engine.settings import Settings
from engine.system.concurrency import holding
from engine.text.formatting import count_noun, format_cost, format_seconds, name_some
from flows.backfills.worker import CHECKED_AT_ONCE, TELL
from flows.cli.console import make_console, make_live, make_table, say_reading
from flows.cli.plan import plan_run

# A plan takes up to some seconds, so a few models represent all.
MAX_ESTIMATED = 5
# Time of a model on two cores, in addition to its calls; half of it on idle cores (docs/guides/operate).
MODEL_SECONDS = 1.0
# States that the progress line counts after the done models.
OTHER_STATES: tuple[ModelState, ...] = ("in a batch", "failed", "busy elsewhere", "cancelled")


@dataclass(frozen=True, slots=True)
class BackfillEstimate:
    """The models, calls, time and cost of a backfill before it starts.

    Args:
        handles: the models that need a run; ``skipped`` has the reason for each other selected model.
        planned: the runs of ``handles``, or of a few of them; ``refused`` has the reasons why some would not start.
        requests_per_minute: the rate limit that all runs share.
    """

    handles: tuple[str, ...]
    skipped: Mapping[str, SkipReason]
    planned: tuple[PlannedRun, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    requests_per_minute: float = math.inf

    @property
    def selected(self) -> int:
        """The number of selected models."""
        return len(self.handles) + len(self.skipped)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The estimates of the planned runs."""
        return tuple(planned.estimate for planned in self.planned)

    @property
    def total(self) -> Spread[Amount]:
        """The sum over the planned runs."""
        return add_amounts([estimate.total for estimate in self.estimates])

    def scale(self, amount: float) -> float:
        """Scale an amount of the planned models to all models."""
        return amount * len(self.handles) / len(self.estimates) if self.estimates else 0.0

    def find_seconds(self, models_at_once: int) -> float | None:
        """Return the likely time of all models in seconds; None if the time of a planned run is unknown. An embedded
        model serves them one after another; a hosted one serves several at a time, within the shared rate limit.
        """
        if not self.estimates or any(each.seconds is None for each in self.estimates):
            return None
        at_once = 1 if all(map(is_embedded, self.estimates[0].prices)) else models_at_once
        calls = sum(max((each.seconds or 0.0) - OTHER_SECONDS, 0.0) for each in self.estimates)
        # The seconds of each run include the rate limit, and stored replies reduce the calls.
        limited = min(calls, self.total.likely.calls * 60 / self.requests_per_minute)
        return OTHER_SECONDS + self.scale(max(calls / at_once, limited, MODEL_SECONDS * len(self.estimates)))

    def describe_cost(self) -> str:
        """Return the likely and maximum cost of all models, or “which cost nothing” if all are free."""
        if all(estimate.is_free for estimate in self.estimates):
            return "which cost nothing"
        costs = self.total.likely.cost_usd, self.total.most.cost_usd
        texts = [format_cost(None if cost_usd is None else self.scale(cost_usd)) for cost_usd in costs]
        batched = [each.batched_usd.likely for each in self.estimates if each.batched_usd is not None]
        half = f", or likely {format_cost(self.scale(sum(batched)))} with --batch=all"
        return f"likely {texts[0]}, at most {texts[1]}{half if len(batched) == len(self.estimates) else ''}"


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
    rate = settings.requests_per_minute or math.inf
    return BackfillEstimate(handles, skipped, tuple(planned), refused, rate)


def describe_begin(forecast: BackfillEstimate, request: BackfillRequest) -> str:
    """Return the first lines of a backfill: the models, the skipped models, the likely calls and cost, the limits."""
    idle = f", {len(forecast.skipped):,} of them with nothing to do" if forecast.skipped else ""
    effort = f"effort {request.effort}" if request.effort else "each at its own effort"
    models = f"{count_noun(forecast.selected, 'model')}{idle}: {request.synth_type}, {effort}"
    lines = [f"{models}, {request.models_at_once} at a time"]
    for reason in dict.fromkeys(skipped.reason for skipped in forecast.skipped.values()):
        handles = [handle for handle, skipped in forecast.skipped.items() if skipped.reason == reason]
        lines.append(f"Skipped: {name_some(handles)}. {reason}")
    estimates = forecast.estimates
    if estimates:
        seconds = forecast.find_seconds(request.models_at_once)
        time = "" if seconds is None else f"; about {format_seconds(seconds)}"
        names = ", ".join(dict.fromkeys(name for each in estimates for name in each.prices))
        calls = count_noun(round(forecast.scale(forecast.total.likely.calls)), "call")
        basis = f" (from {len(estimates)} of {len(forecast.handles)} models)"
        lines.append(
            f"Estimate: about {calls} to {names}, {forecast.describe_cost()}{time}"
            + (basis if len(estimates) < len(forecast.handles) else "")
        )
        limits = sorted({each.limit_usd for each in estimates if each.limit_usd is not None})
        each = f"{' or '.join(map(format_cost, limits))} for each model" if limits else "none for a model"
        together = "none" if request.max_cost_usd is None else format_cost(request.max_cost_usd)
        likely_usd = forecast.scale(forecast.total.likely.cost_usd or 0.0) or math.inf
        share = math.inf if request.max_cost_usd is None else request.max_cost_usd / likely_usd
        ends = f", where it is likely to stop with about {100 * share:.0f} % done" if 0 < share < 1 else ""
        lines.append(f"Limits on cost: {each}, {together} for all together{ends}")
    return "\n".join(lines)


def show_estimate(forecast: BackfillEstimate, request: BackfillRequest) -> None:
    """Print the plan of many models: the first lines of a backfill, a row for each model, the sum, and refusals."""
    console = make_console()
    console.print("A dry run, no model is called and nothing is written", style="bold")
    console.print(Text(describe_begin(forecast, request)))
    table = make_table("model", numbers=("calls", "tokens in", "tokens out", "cost"))
    total = forecast.total
    rows = [(planned.handle, planned.estimate.total.likely) for planned in forecast.planned]
    for name, amount in (*rows, ("all, likely", total.likely), ("all, at most", total.most)):
        counts = amount.calls, amount.tokens_in, amount.tokens_out
        table.add_row(Text(name), *(f"{count:,}" for count in counts), format_cost(amount.cost_usd))
    console.print(table)
    for handle, why in forecast.refused.items():
        console.print(Text(f"{handle} would be refused now: {why}"), soft_wrap=True)


def describe_json(forecast: BackfillEstimate, request: BackfillRequest) -> dict[str, Any]:
    """Return the plan of many models as JSON: the plan of each, the sum, and the time of the backfill in seconds."""
    return {
        "models": [asdict(planned) for planned in forecast.planned],
        "total": asdict(forecast.total),
        "seconds": forecast.find_seconds(request.models_at_once),
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
