"""The command ``backfill``."""

import json
import sys
from typing import Annotated

import typer

from flows.cli import options
from flows.cli.in_process import quiet_libraries, run_in_process, starting_server
from flows.cli.options import MAKE

app = typer.Typer()


@app.command("backfill", rich_help_panel=MAKE, epilog="Example: exemplars backfill --namespace u22a8 --max-cost-usd 20")
def backfill_command(
    context: typer.Context,
    handles: options.HandlesArgument = None,
    namespace: options.NamespaceOption = None,
    glob: options.GlobOption = None,
    only_lacking: Annotated[
        bool,
        typer.Option(
            "--only-lacking",
            help="Generate only missing samples, for drafts that have fewer than the effort asks for.",
        ),
    ] = False,
    synth_type: options.SynthTypeOption = "from_traits",
    effort: options.EffortOption = None,
    force: options.ForceOption = False,
    strict: options.StrictOption = False,
    models_at_once: Annotated[int, typer.Option(min=1, max=64, help="Models worked on at a time.")] = 8,
    max_cost_usd: Annotated[
        float | None, typer.Option(min=0.01, max=1e6, help="Cost limit of all models together, in USD.")
    ] = None,
    per_pole: options.PerPoleOption = None,
    refresh: options.RefreshOption = False,
    batch: options.BatchOption = "none",
    as_json: Annotated[bool, options.json_option("the counts of models by state")] = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Generate samples for many models. Skips models that have a set; a failed model does not stop the others."""
    quiet_libraries(verbose)
    from engine.settings import read_settings
    from flows.backfills.terminal import BackfillProgress, describe_begin, estimate_backfill, make_request

    request = make_request(context.params)
    estimate = estimate_backfill(read_settings(), request)
    print(describe_begin(estimate, request), file=sys.stderr, flush=True)
    progress = BackfillProgress(estimate.selected, estimate.skipped)
    with starting_server() as server, progress.showing(not verbose, context.obj):
        counts = run_in_process("flows.backfill:backfill", request.to_parameters(), server)
    print(json.dumps(counts) if as_json else ", ".join(f"{count} {state}" for state, count in counts.items()))
