"""The command ``exemplars backfill``: what it will do, how far it is, each model as it ends, and how to go on."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from engine.backfills.targets import BackfillRequest, find_skip_reason, list_selected
from engine.errors import ExemplarsError, RunInterruptedError
from engine.estimate.estimate import Estimate
from engine.llm.client.prices import add_costs
from engine.settings import Settings
from engine.text.formatting import count_noun, format_cost
from flows.backfills.progress import BackfillProgress
from flows.backfills.worker import CHECKED_AT_ONCE
from flows.cli.plan import plan_run

# A plan takes up to some seconds to make, so a few stand for all.
MAX_ESTIMATED = 5


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
        names = ", ".join(dict.fromkeys(name for each in estimates for name in each.prices))
        some = f" (by {len(estimates)} of the {len(outlook.handles)} models)"
        lines.append(
            f"Estimate: about {count_noun(outlook.calls, 'call')} to {names}, {outlook.describe_cost()}"
            + (some if len(estimates) < len(outlook.handles) else "")
        )
        limits = sorted({each.limit_usd for each in estimates if each.limit_usd is not None})
        each = f"{' or '.join(map(format_cost, limits))} for each model" if limits else "none for a model"
        together = "none" if request.max_cost_usd is None else format_cost(request.max_cost_usd)
        lines.append(f"Limits on cost: {each}, {together} for all together")
    return "\n".join(lines)


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
            yield plan_run(settings, handle, request.synth_type, request.effort, prompts=0).estimate
        except ExemplarsError:
            continue
