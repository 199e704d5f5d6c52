"""The command ``review``."""

from typing import Annotated

import typer

from engine.errors import InputError
from flows.cli.in_process import quiet_libraries, run_flow, run_in_process

app = typer.Typer()


@app.command("review")
def review_command(
    run_id: Annotated[str, typer.Argument(help="The run that proposed the set.")],
    attach: Annotated[bool, typer.Option("--attach", help="Attach what stands.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Reject all of it.")] = False,
    leave_out: Annotated[list[int] | None, typer.Option(metavar="ID", help="A sample to leave out.")] = None,
    other_pole: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="A sample that reads as the other pole.")
    ] = None,
    why: Annotated[str, typer.Option(help="A word of why, kept with the set.")] = "",
    fill: Annotated[bool, typer.Option("--fill", help="Then fill the model up to the effort's number.")] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a line {run_id, status, samples, report}; with --fill one a run."),
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show what Prefect and the libraries say.")] = False,
) -> None:
    """Gives your word on a set that a run has proposed: attach what stands, or reject all of it."""
    if attach == reject:
        raise InputError("Say either --attach or --reject")
    if fill and reject:
        raise InputError("--fill fills up what is attached: say it with --attach")
    from engine.settings import read_settings

    quiet_libraries(verbose)
    from flows.cli.temporary_server import starting_server
    from flows.review.command import resume_run, show_reviewed
    from flows.review.waiting import find_reviewable

    settings, asked = read_settings(), {"leave_out": leave_out or [], "other_pole": other_pole or [], "why": why}
    asked |= {"decision": "attach" if attach else "reject"}
    manifest = find_reviewable(settings, run_id).manifest
    with starting_server() as server:
        if resume_run(settings, run_id, {**asked, "fill": fill}):
            show_reviewed(run_id, None, as_json)
            return
        result = run_in_process("flows.review.flow:review", {"run_id": run_id, **asked}, server)
    show_reviewed(run_id, result, as_json)
    if fill and attach:
        with starting_server() as server:
            filled = run_flow(manifest["handle"], manifest["synth_type"], manifest["effort"], server, only_lacking=True)
        show_reviewed(filled.run_id, filled, as_json)
