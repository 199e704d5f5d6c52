"""The command ``check``: one call to each model that a run would ask."""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from engine.settings import read_settings
from flows.cli.options import BEGIN, EffortOption, JsonOption

if TYPE_CHECKING:
    from engine.definitions.effort import Level
    from engine.run.provider_check import Checked
    from engine.settings import Settings

app = typer.Typer()


@app.command("check", rich_help_panel=BEGIN, epilog="Example: exemplars check u22a8.technical-writing")
def check_command(
    handle: Annotated[
        str | None, typer.Argument(help="The model whose effort is taken. Without one, the effort high.")
    ] = None,
    effort: EffortOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask each language model that a run would ask: key, name, schema, price and speed. Keeps no text."""
    from engine.definitions.effort import choose_effort
    from engine.definitions.loader import load_model
    from engine.domain.run_request import check_effort
    from engine.run.job import read_level, require_votes

    settings, chosen = read_settings(), check_effort(effort)
    model = load_model(settings.models_uri, handle) if handle else None
    level, _ = read_level(settings, choose_effort(chosen, model.effort if model else None))
    if model and model.questions:
        level = require_votes(level, model)
    checked = asyncio.run(_collect(settings, level, as_json))
    if as_json:
        print(json.dumps([asdict(each) for each in checked]))
    raise typer.Exit(0 if all(each.works for each in checked) else 3)


async def _collect(settings: "Settings", level: "Level", as_json: bool) -> "list[Checked]":
    from engine.llm.embedded.embedded_models import is_embedded
    from engine.run.provider_check import check_models

    if not as_json:
        slow = "; an embedded model may take minutes to begin" if is_embedded(level.synth_model) else ""
        print(f"Asking what a run at effort {level.effort} would ask{slow}", file=sys.stderr, flush=True)
    checked = []
    async for each in check_models(settings, level):
        checked.append(each)
        if not as_json:
            _show(each)
    return checked


def _show(checked: "Checked") -> None:
    price = "not known" if checked.usd_per_million is None else "${:g} in, ${:g} out".format(*checked.usd_per_million)
    if checked.usd_per_million == (0.0, 0.0):
        price = f"nothing, ${checked.usd_per_call:g} a request" if checked.usd_per_call else "free"
    speed = "not known" if checked.tokens_per_second is None else f"{checked.tokens_per_second:,.0f} tokens a second"
    print(f"{checked.model} ({checked.role}): {'works' if checked.works else 'does not work'}")
    if checked.answered_by or checked.tokens_per_second:
        facts = {
            "answers as": checked.answered_by or "no name",
            "schema": checked.schema,
            "log-probabilities": "given" if checked.log_probabilities else "not given",
            "price of a million": price,
            "speed": f"{speed}, {checked.seconds:.1f} s for the call",
        }
        for name, fact in facts.items():
            print(f"  {name:<20}{fact}")
    for sentence in checked.says:
        print(f"  {sentence.rstrip('.')}.")
