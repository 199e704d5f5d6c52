"""The command ``review``."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from engine.domain.verdict import RunResult
from engine.errors import InputError
from engine.text.formatting import capitalise
from flows.cli.console import name_user
from flows.cli.in_process import MAIN_JOB, quiet_libraries, run_in_process, starting_server
from flows.cli.options import JUDGE, VerboseOption, json_option

if TYPE_CHECKING:
    from engine.settings import Settings
    from engine.store.store import StoredSet

app = typer.Typer()


@app.command(
    "review", rich_help_panel=JUDGE, epilog="Example: exemplars review 0f2c7c1e-5b1f-4b0e-9a53-7a4f3c0d2b11 --attach"
)
def review_command(
    run_id: Annotated[str, typer.Argument(help="The run that proposed the set.")],
    attach: Annotated[bool, typer.Option("--attach", help="Attach the set.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Reject all of it.")] = False,
    leave_out: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="Leave this sample out. May be given often.")
    ] = None,
    other_pole: Annotated[
        list[int] | None,
        typer.Option(
            metavar="ID",
            help="This sample reads as the other pole: move it there if a place is free, else leave it out.",
        ),
    ] = None,
    correct: Annotated[
        tuple[int, str] | None,
        typer.Option(metavar="ID TEXT", help="Attach this text in the place of that sample's. May stand alone."),
    ] = None,
    why: Annotated[str, typer.Option(help="The reason, kept with the set.")] = "",
    fill: Annotated[
        bool, typer.Option("--fill", help="Then start a run that fills up to the effort's number.")
    ] = False,
    as_json: Annotated[bool, json_option("run_id, status, samples, report, findings; with --fill one a run")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Attach the remaining samples of a proposed set, or reject it. Give --attach or --reject, or --correct."""
    if attach == reject and (attach or correct is None):
        raise InputError("Say either --attach or --reject")
    if correct and reject:
        raise InputError("--correct mends a text for the set that is attached: say it with --attach, or alone")
    if fill and reject:
        raise InputError("--fill fills up what is attached: say it with --attach")
    from engine.settings import read_settings

    quiet_libraries(verbose)
    from engine.definitions.loader import load_model
    from engine.run.outcome import read_result
    from flows.review.waiting import ask_for_rest, find_reviewable, warn_of_older

    settings, params = read_settings(), {"leave_out": leave_out or [], "other_pole": other_pole or [], "why": why}
    params |= {"decision": "attach" if attach else "reject", "who": name_user()}
    proposal = find_reviewable(settings, run_id)
    manifest = proposal.manifest
    if correct:
        _correct(settings, proposal, *correct)
        if not attach:
            if as_json:
                _show(read_result(proposal), as_json)
            return
    if attach:
        for warning in warn_of_older(proposal, load_model(settings.models_uri, proposal.handle)):
            print(warning, file=sys.stderr)
    with starting_server() as server:
        result = run_in_process("flows.review.flow:review", {"run_id": run_id, **params}, server)
    _show(result, as_json)
    if fill and attach:
        with starting_server() as server:
            filled = run_in_process(MAIN_JOB, ask_for_rest(manifest), server)
        _show(filled, as_json)


def _correct(settings: "Settings", proposal: "StoredSet", sample_id: int, text: str) -> None:
    from engine.review.correct import explain_rejection
    from engine.store.proposals import keep_decision
    from flows.review.waiting import load_new_sets

    model = load_new_sets(settings, proposal)
    if why := explain_rejection(model, proposal, sample_id, text := text.strip()):
        raise InputError(f"{why}. Nothing was changed")
    keep_decision(proposal, sample_id, "correct", name_user(), text)
    message = f"Corrected: the set has this text in the place of sample {sample_id}'s once it is attached"
    print(f"{message}. Rules of your own are checked then", file=sys.stderr)


def _show(result: RunResult, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.to_json()))
        return
    print(capitalise(result.headline))
    if result.status not in ("rejected", "not_needed"):
        print(f"samples  {result.samples}")
    if result.report:
        print(f"report   {result.report}")
