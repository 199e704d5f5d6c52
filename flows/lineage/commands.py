"""The command ``show``: the lineage of a text."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.settings import read_settings
from engine.text.formatting import format_cost, shorten
from flows.cli.options import JUDGE, JsonOption, RunOption, read_id

if TYPE_CHECKING:
    from engine.lineage.lineage import Lineage

# Printed length of a text that the prompt has whole.
OPENING_CHARS = 60

app = typer.Typer()


@app.command("show", rich_help_panel=JUDGE, epilog="Example: exemplars show 1967514191599934")
def show_command(
    sample_id: Annotated[
        int, typer.Argument(metavar="ID", parser=read_id, help="The sample's id, as files and reports have it.")
    ],
    handle: Annotated[str | None, typer.Option(help="Its model. Without it the whole store is searched.")] = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where a text comes from: prompt, reply, seeds, votes, and who decided on it. Writes nothing."""
    origin = show(sample_id, handle, run)
    if as_json:
        print(json.dumps(asdict(origin), default=datetime.isoformat))
        return
    from rich.text import Text

    from flows.cli.console import make_console

    console = make_console()
    where = f"{origin.handle}, {origin.trait}: {origin.pole or 'between the poles'}"
    console.print(Text.assemble((f"Sample {sample_id} of {where}", "bold"), f" ({origin.standing})"), soft_wrap=True)
    for title, text in _list_parts(origin):
        console.print(Text(title, style="cyan"), soft_wrap=True)
        console.print(Text(indent(text, "  ")), soft_wrap=True)


def show(sample_id: int, handle: str | None = None, run_id: str | None = None) -> "Lineage":
    """Return the lineage of a sample, as ``exemplars show`` prints it: prompt, reply, seeds and decisions.

    Args:
        sample_id: the sample's id.
        handle: the sample's model, and ``run_id`` the run of its set; without them the whole store is searched.

    Raises:
        InputError: there is no such sample, set or model. StoreError: a set that may contain it cannot be read.
    """
    from engine.errors import ExemplarsError
    from engine.lineage.lineage import trace_sample
    from flows.api.keys import locate_keys, read_keys

    settings = read_settings()
    try:
        names = {key.id: key.name for key in read_keys(locate_keys(settings))}
    except ExemplarsError:
        # Without the right to read the keys, only their ids are shown.
        names = {}
    return trace_sample(settings, sample_id, handle, run_id, names)


def _list_parts(origin: "Lineage") -> Iterator[tuple[str, str]]:
    row, sample_set, prompt = origin.row, origin.created_in, origin.prompt
    yield "text", row["text"] or "none"
    yield "why", origin.why
    yield "where", "\n".join([origin.where, *(f"also {status}: {where}" for status, where in origin.also)])
    if sample_set:
        how = f"{sample_set['synth_type']}, effort {sample_set['effort']}, pool {sample_set['pool']}"
        by = f"prompts {sample_set['versions']['prompts']}, exemplars {sample_set['versions']['exemplars']}"
        yield "set", f"run {sample_set['run_id']}, {sample_set['status']}: {how}\nplan {sample_set['plan_id']}, {by}"
    if "synth_model" in row:
        created_by = f"{row['synth_model']}, for {format_cost(row['cost_usd'])}, in round {row['attempt']}"
        by_person = f"a person, in the place of sample {origin.replaces}, which was made by {created_by}"
        yield "made by", created_by if origin.replaces is None else by_person
        yield "about", _join(json.loads(row["scenario"]) | {"pair": row["pair_id"] or "none"})
    if votes := row.get("judge_votes"):
        yield "judges", "\n".join(_join(vote) for vote in json.loads(votes))
    if origin.events:
        yield (
            "what happened (UTC)",
            "\n".join(
                f"{item.when[:19]}  {item.what}, by {item.who or 'unknown'}{f': {item.why}' if item.why else ''}"
                for item in origin.events
            ),
        )
    if prompt:
        yield "prompt, as it was sent", "\n".join(filter(None, [f"SHA-256 {prompt.sha256}", prompt.said]))
        for role, message in prompt.messages:
            yield f"[{role}]", message
        if prompt.reply is not None:
            yield "reply", prompt.reply
    openings = [
        f"{seed.place}: {shorten(seed.text, OPENING_CHARS)}" if seed.text else seed.place for seed in origin.seeds
    ]
    if openings:
        first = ", the varied one first" if row.get("seed_sha256") else ""
        yield f"your own texts in the prompt{first}", "\n".join(openings)


def _join(facts: dict[str, Any]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in facts.items())
