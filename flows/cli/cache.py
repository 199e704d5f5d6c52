"""The commands ``exemplars cache list`` and ``exemplars cache clear``: list and drop the kept replies."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import InputError, ModelBusyError
from engine.text.formatting import count_noun
from flows.cli.options import JsonOption

if TYPE_CHECKING:
    from engine.llm.replies.admin import CachedPlan, Removed

app = typer.Typer(no_args_is_help=True, help="List or clear the kept replies.")


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the plans that have kept replies, the longest unused first."""
    from engine.llm.replies.admin import list_cache
    from engine.settings import read_settings

    plans = list_cache(read_settings().replies_place)
    as_objects = [asdict(plan) for plan in plans]
    print(json.dumps(as_objects, default=datetime.isoformat) if as_json else _format_plans(plans))


@app.command("clear")
def clear_command(
    handle: Annotated[str | None, typer.Argument(help="The model whose replies are dropped.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Drop the replies of every model.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Drop kept replies: unfinished runs must pay for their calls again."""
    from engine.domain.model import check_handle
    from engine.llm.replies.admin import clear_cache
    from engine.settings import read_settings

    if (handle is None) != everything:
        raise InputError(
            "Name the model whose replies are to be dropped: 'exemplars cache clear HANDLE', or --all for every model"
        )
    removed = clear_cache(read_settings().replies_place, None if handle is None else check_handle(handle))
    print(json.dumps(asdict(removed)) if as_json else _format_removed(removed, handle))
    if removed.in_use:
        raise ModelBusyError(
            f"These plans are in use by live runs, so their replies were not dropped: {', '.join(removed.in_use)}. "
            "Wait until the runs end, or cancel them, and clear again"
        )


def _format_plans(plans: "Sequence[CachedPlan]") -> str:
    """A table with a line for each plan, and a line with the totals."""
    lines = [f"{'model':<36} {'replies':>8} {'MB':>8}  {'last used (UTC)':<16}  plan"]
    lines += [
        f"{plan.handle or 'unknown':<36} {plan.replies:>8} {plan.bytes / 1e6:>8.1f}  "
        f"{plan.used_at:%Y-%m-%d %H:%M}  {plan.plan_id}{' (in use)' if plan.in_use else ''}"
        for plan in plans
    ]
    total = f"{count_noun(len(plans), 'plan')}, {count_noun(sum(plan.replies for plan in plans), 'reply', 'replies')}"
    return "\n".join([*lines, f"{total}, {sum(plan.bytes for plan in plans) / 1e6:.1f} MB"])


def _format_removed(removed: "Removed", handle: str | None) -> str:
    """What was dropped, and what that means from now on."""
    whose = f"of {handle}" if handle else "of all models"
    if not removed.plans:
        return f"No replies {whose} were dropped"
    replies, plans = count_noun(removed.replies, "reply", "replies"), count_noun(removed.plans, "plan")
    what = f"{replies} {whose}: {plans}, {removed.bytes / 1e6:.1f} MB"
    return f"Dropped {what}. A run that did not finish has to make all of its calls again"
