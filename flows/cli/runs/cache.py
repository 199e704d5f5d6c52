"""The commands ``exemplars cache list`` and ``exemplars cache clear``: list and drop the kept replies."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import InputError, ModelBusyError
from engine.text.formatting import count_noun

if TYPE_CHECKING:
    from engine.llm.replies.admin import CachedPlan, Removed
    from engine.settings import RepliesPlace

app = typer.Typer(no_args_is_help=True, help="List or clear the kept replies.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print the same facts as one line of JSON.")]


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the plans that have kept replies, the longest unused first."""
    from engine.llm.replies.admin import list_cache

    plans = list_cache(_find_place())
    print(json.dumps([_describe(plan) for plan in plans]) if as_json else format_plans(plans))


@app.command("clear")
def clear_command(
    handle: Annotated[str | None, typer.Argument(help="The model whose replies are dropped.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Drop the replies of every model.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Drop kept replies: unfinished runs must pay for their calls again."""
    from engine.domain.model import check_handle
    from engine.llm.replies.admin import clear_cache

    if (handle is None) != everything:
        raise InputError(
            "Name the model whose replies are to be dropped: 'exemplars cache clear HANDLE', or --all for every model"
        )
    checked, place = None if handle is None else check_handle(handle), _find_place()
    removed = clear_cache(place, checked)
    print(json.dumps(asdict(removed)) if as_json else format_removed(removed, handle))
    if removed.in_use:
        raise ModelBusyError(
            f"These plans are in use by live runs, so their replies were not dropped: {', '.join(removed.in_use)}. "
            "Wait until the runs end, or cancel them, and clear again"
        )


def format_plans(plans: "Sequence[CachedPlan]") -> str:
    """A table with a line for each plan, and a line with the totals."""
    lines = [f"{'model':<36} {'replies':>8} {'MB':>8}  {'last used (UTC)':<16}  plan"]
    lines += [
        f"{plan.handle or 'unknown':<36} {plan.replies:>8} {plan.bytes / 1e6:>8.1f}  "
        f"{plan.used_at:%Y-%m-%d %H:%M}  {plan.plan_id}{' (in use)' if plan.in_use else ''}"
        for plan in plans
    ]
    total = f"{count_noun(len(plans), 'plan')}, {count_noun(sum(plan.replies for plan in plans), 'reply', 'replies')}"
    return "\n".join([*lines, f"{total}, {sum(plan.bytes for plan in plans) / 1e6:.1f} MB"])


def format_removed(removed: "Removed", handle: str | None) -> str:
    """What was dropped, and what it prevents from now on."""
    whose = f"of {handle}" if handle else "of all models"
    if removed.plans:
        replies, plans = count_noun(removed.replies, "reply", "replies"), count_noun(removed.plans, "plan")
        what = f"{replies} {whose}: {plans}, {removed.bytes / 1e6:.1f} MB"
        return f"Dropped {what}. A run that did not finish has to make all of its calls again"
    return f"No replies {whose} were dropped"


def _describe(plan: "CachedPlan") -> dict[str, object]:
    """A plan for JSON."""
    return {
        "plan_id": plan.plan_id,
        "handle": plan.handle,
        "replies": plan.replies,
        "bytes": plan.bytes,
        "used_at": plan.used_at.isoformat(),
        "in_use": plan.in_use,
        "where": plan.where,
    }


def _find_place() -> "RepliesPlace":
    from engine.settings import read_settings

    return read_settings().replies_place
