"""The command ``exemplars backfill``: what it will do, how far it is, each model as it ends, and how to go on."""

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

# A plan takes up to some seconds to make, so a few stand for all.
MAX_ESTIMATED = 5
# What a model takes of two cores beside its calls; half of it where they are idle (docs/guides/operate).
MODEL_SECONDS = 1.0
# What is told beside the models that are done.
OTHER_STATES: tuple[ModelState, ...] = ("in a batch", "failed", "busy elsewhere", "cancelled")


@dataclass(frozen=True, slots=True)
class BackfillEstimate:
    """What a backfill will do.

    Args:
        handles: the models that have something to do; ``skipped`` says of the others that are meant why not.
        planned: the runs of ``handles``, or of a few of them; ``refused`` says why some would not begin.
        requests_per_minute: the limit that all runs share.
    """

    handles: tuple[str, ...]
    skipped: Mapping[str, SkipReason]
    planned: tuple[PlannedRun, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    requests_per_minute: float = math.inf

    @property
    def selected(self) -> int:
        """How many models are meant."""
        return len(self.handles) + len(self.skipped)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Those of the planned runs."""
        return tuple(planned.estimate for planned in self.planned)

    @property
    def total(self) -> Spread[Amount]:
        """The sum over the planned runs."""
        return add_amounts([estimate.total for estimate in self.estimates])

    def scale(self, amount: float) -> float:
        """What all models take, where those that are planned take so much."""
        return amount * len(self.handles) / len(self.estimates) if self.estimates else 0.0

    def find_seconds(self, models_at_once: int) -> float | None:
        """How long all models are likely to take; None where that is not known of some. On an embedded model they wait
        for one another, and hosted ones are asked for several at a time, within the limit on the rate of all together.
        """
        if not self.estimates or any(each.seconds is None for each in self.estimates):
            return None
        at_once = 1 if all(map(is_embedded, self.estimates[0].prices)) else models_at_once
        calls = sum(max((each.seconds or 0.0) - OTHER_SECONDS, 0.0) for each in self.estimates)
        # A run's own seconds have the limit in them, and less is to be asked where replies are kept.
        limited = min(calls, self.total.likely.calls * 60 / self.requests_per_minute)
        return OTHER_SECONDS + self.scale(max(calls / at_once, limited, MODEL_SECONDS * len(self.estimates)))

    def describe_cost(self) -> str:
        """The likely and the most cost of all models, “which cost nothing” where that is so."""
        if all(estimate.is_free for estimate in self.estimates):
            return "which cost nothing"
        costs = self.total.likely.cost_usd, self.total.most.cost_usd
        said = [format_cost(None if cost_usd is None else self.scale(cost_usd)) for cost_usd in costs]
        batched = [each.batched_usd.likely for each in self.estimates if each.batched_usd is not None]
        half = f", or likely {format_cost(self.scale(sum(batched)))} with --batch=all"
        return f"likely {said[0]}, at most {said[1]}{half if len(batched) == len(self.estimates) else ''}"


def make_request(given: Mapping[str, Any]) -> BackfillRequest:
    """The request that is given by the names of its fields, as somebody has typed it; other names are passed over.

    Raises:
        HandleError, InputError: something of it is wrong.
    """
    asked = {item.name: given[item.name] for item in fields(BackfillRequest) if item.name in given}
    one = {name: _take_one(f"--{name}", given[name]) for name in ("namespace", "glob")}
    return BackfillRequest(**{**asked, **one, "handles": tuple(given["handles"] or ())})


def _take_one(option: str, given: Sequence[str] | None) -> str | None:
    if given and len(given) > 1:
        raise InputError(
            f"{option} takes one value, and {len(given)} are given: {', '.join(given)}. Type the command once for "
            "each, or choose all of them by one --glob, such as '[ab]*'"
        )
    return given[0] if given else None


def estimate_backfill(
    settings: Settings, request: BackfillRequest, most: int | None = MAX_ESTIMATED
) -> BackfillEstimate:
    """What the backfill will do. A model that cannot be read counts as one with something to do: its run says why.

    Args:
        most: how many models are planned; None for all.

    Raises:
        HandleError, InputError, StoreError: as ``list_selected``.
    """
    selected = list_selected(settings, request)
    say_reading(len(selected))
    with ThreadPoolExecutor(CHECKED_AT_ONCE) as pool:
        found = dict(zip(selected, pool.map(partial(examine, settings, request), selected), strict=True))
    skipped = {handle: each.skip_reason for handle, each in found.items() if each.skip_reason is not None}
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


def describe_begin(outlook: BackfillEstimate, request: BackfillRequest) -> str:
    """The lines that a backfill begins with: the models, those passed over, the likely calls and cost, the limits."""
    passed = f", {len(outlook.skipped):,} of them with nothing to do" if outlook.skipped else ""
    effort = f"effort {request.effort}" if request.effort else "each at its own effort"
    models = f"{count_noun(outlook.selected, 'model')}{passed}: {request.synth_type}, {effort}"
    lines = [f"{models}, {request.models_at_once} at a time"]
    for reason in dict.fromkeys(skipped.reason for skipped in outlook.skipped.values()):
        alike = [handle for handle, skipped in outlook.skipped.items() if skipped.reason == reason]
        lines.append(f"Passed over: {name_some(alike)}. {reason}")
    estimates = outlook.estimates
    if estimates:
        seconds = outlook.find_seconds(request.models_at_once)
        time = "" if seconds is None else f"; about {format_seconds(seconds)}"
        names = ", ".join(dict.fromkeys(name for each in estimates for name in each.prices))
        calls = count_noun(round(outlook.scale(outlook.total.likely.calls)), "call")
        some = f" (by {len(estimates)} of the {len(outlook.handles)} models)"
        lines.append(
            f"Estimate: about {calls} to {names}, {outlook.describe_cost()}{time}"
            + (some if len(estimates) < len(outlook.handles) else "")
        )
        limits = sorted({each.limit_usd for each in estimates if each.limit_usd is not None})
        each = f"{' or '.join(map(format_cost, limits))} for each model" if limits else "none for a model"
        together = "none" if request.max_cost_usd is None else format_cost(request.max_cost_usd)
        likely_usd = outlook.scale(outlook.total.likely.cost_usd or 0.0) or math.inf
        share = math.inf if request.max_cost_usd is None else request.max_cost_usd / likely_usd
        ends = f", where it is likely to stop with some {100 * share:.0f} % done" if 0 < share < 1 else ""
        lines.append(f"Limits on cost: {each}, {together} for all together{ends}")
    return "\n".join(lines)


def show_estimate(outlook: BackfillEstimate, request: BackfillRequest) -> None:
    """Prints the plan of many models: what a backfill begins with, a row for each, the sum, and which are refused."""
    console = make_console()
    console.print("A dry run, no model is called and nothing is written", style="bold")
    console.print(Text(describe_begin(outlook, request)))
    table = make_table("model", numbers=("calls", "tokens in", "tokens out", "cost"))
    total = outlook.total
    rows = [(planned.handle, planned.estimate.total.likely) for planned in outlook.planned]
    for name, amount in (*rows, ("all, likely", total.likely), ("all, at most", total.most)):
        counts = amount.calls, amount.tokens_in, amount.tokens_out
        table.add_row(Text(name), *(f"{count:,}" for count in counts), format_cost(amount.cost_usd))
    console.print(table)
    for handle, why in outlook.refused.items():
        console.print(Text(f"{handle} would be refused now: {why}"), soft_wrap=True)


def describe_json(outlook: BackfillEstimate, request: BackfillRequest) -> dict[str, Any]:
    """The plan of many models as JSON: each as that of one, the sum, and how long a backfill of them takes."""
    return {
        "models": [asdict(planned) for planned in outlook.planned],
        "total": asdict(outlook.total),
        "seconds": outlook.find_seconds(request.models_at_once),
        "refused": dict(outlook.refused),
        "skipped": {handle: reason.reason for handle, reason in outlook.skipped.items()},
    }


class BackfillProgress:
    """Counts models, of all that are ``selected``, by what the backfill's worker tells, and shows them meanwhile.

    Of those ``passed``, which were named before it began, a row is shown only where they are not passed over after all.
    """

    def __init__(self, selected: int, passed: Collection[str] = ()) -> None:
        self._selected = selected
        self._passed = passed
        self._states: dict[str, ModelState] = {}
        self._begun = time.monotonic()
        self._console = make_console(stderr=True)

    def tell(self, said: ModelRow | str) -> None:
        """Takes a row of the ledger, printed where its model has ended, or a sentence; it must not raise."""
        if isinstance(said, ModelRow):
            self._states[said.handle] = said.state
            if said.state == "runs" or (said.state == "skipped" and said.handle in self._passed):
                return
        self._console.print(Text(describe_row(said) if isinstance(said, ModelRow) else said), soft_wrap=True)

    @contextmanager
    def showing(self, live: bool, typed: str = "") -> Iterator[None]:
        """Inside the block rows and progress are shown.

        Args:
            live: whether a line at the foot of a terminal follows.
            typed: the command, by which an interruption says how to go on.
        """
        drawn = make_live(self._console, lambda: Text(self.describe(time.monotonic()), style="bold"))
        try:
            with holding(TELL, self.tell), drawn if live and self._console.is_terminal else nullcontext():
                yield
        except RunInterruptedError as error:
            raise RunInterruptedError(f"{error}. {self.describe_models()}. To go on: {typed}") from error

    def describe_models(self) -> str:
        """“3 of 12 models are done, 1 of them failed”."""
        counts = Counter(self._states.values())
        done = counts["attached"] + counts["skipped"]
        failed = "".join(f", {counts[state]:,} {state}" for state in OTHER_STATES if counts[state])
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
