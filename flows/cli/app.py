"""Define the command ``exemplars`` and its subcommands, which print for people, or with ``--json`` for programs."""

import atexit
import gc
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from engine.domain.run_request import RunRequest
from engine.errors import GateError, InputError
from engine.settings import read_settings
from engine.system.importing import importing
from flows.authoring import commands as authoring
from flows.backfills import commands as backfills
from flows.batches import commands as batches
from flows.catalogue import commands as catalogue
from flows.cli import models, options, provider, store
from flows.cli.in_process import MAIN_JOB, quiet_libraries, run_in_process, starting_server
from flows.cli.options import GROUPS, HAND_ON, KEEP, MAKE
from flows.evaluation import commands as judging
from flows.exit_codes import run_app
from flows.export import commands as export
from flows.lineage import commands as origin
from flows.review import commands as review


class _Commands(TyperGroup):
    """All commands, in the order of their groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=lambda name: GROUPS.index(vars(self.commands[name])["rich_help_panel"]))


app = typer.Typer(cls=_Commands, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def show_version(is_requested: bool) -> None:
    """Print the version and end, if it is requested."""
    if is_requested:
        print(f"exemplars {importlib.metadata.version('exemplars')}")
        raise typer.Exit


@app.callback()
def describe(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn a model's trait definitions into labelled, screened and gated text samples."""


@app.command("synthesize", rich_help_panel=MAKE, epilog="Example: exemplars synthesize u22a8.technical-writing")
def synthesize_command(
    context: typer.Context,
    handle: options.HandleArgument,
    synth_type: options.SynthTypeOption = "from_traits",
    effort: options.EffortOption = None,
    review: Annotated[
        bool, typer.Option("--review", help="Attach nothing before you decide with `exemplars review`.")
    ] = False,
    as_json: Annotated[bool, options.json_option("run_id, status, samples, report, findings")] = False,
    verbose: options.VerboseOption = False,
    only_lacking: options.OnlyLackingOption = False,
    strict: options.StrictOption = False,
    per_pole: options.PerPoleOption = None,
    refresh: options.RefreshOption = False,
    batch: options.BatchOption = "none",
) -> None:
    """Make samples for one model, check them, and attach them if nothing critical is found."""

    settings, request = read_settings(), RunRequest.take(context.params)
    logs_json = settings.log_format == "json"
    quiet_libraries(verbose or logs_json, logs_json)
    from flows.run.worker import forking_worker

    with starting_server() as server, forking_worker():
        # Imported late: Prefect reads its settings on import, and an error in the handle should not wait for that.
        with importing():
            from engine.run.job import load_job
            from flows.cli.terminal import show_begin, show_result, watch

        job = load_job(settings, request)
        for_people = not as_json and not logs_json
        if for_people:
            show_begin(job)
        with watch(job) if for_people and not verbose else nullcontext():
            result = run_in_process(MAIN_JOB, asdict(request), server)
    if as_json:
        print(json.dumps(result.to_json()))
    else:
        show_result(job, result)


@app.command("try", rich_help_panel=MAKE, epilog="Example: exemplars try u22a8.technical-writing")
def try_command(
    context: typer.Context,
    handle: options.HandleArgument,
    synth_type: options.SynthTypeOption = "from_traits",
    effort: options.EffortOption = "low",
    per_pole: options.PerPoleOption = 3,
    verbose: options.VerboseOption = False,
) -> None:
    """Make three texts a pole as a first look, in the terminal and as a page. Attaches and keeps nothing."""
    from engine.definitions.effort import write_first_look

    settings, request = read_settings(), RunRequest.take(context.params)
    quiet_libraries(verbose)
    from flows.run.worker import forking_worker

    page = Path(settings.cache_dir, "tries", f"{handle}.html")
    with TemporaryDirectory(prefix="exemplars-try-") as store, ExitStack() as stack:
        # The copy has the dial's file name, so that messages show the name that the user knows.
        dial = Path(store, Path(settings.effort_file).name)
        dial.write_text(write_first_look(settings.effort_file), encoding="utf-8")
        # The flow reads its settings itself. It must not use a shared server: its events and states would look like a
        # real run.
        os.environ |= {"EXEMPLARS_SAMPLES_URI": store, "EXEMPLARS_EFFORT_FILE": str(dial), "PREFECT_API_URL": ""}
        server = stack.enter_context(starting_server())
        stack.enter_context(forking_worker())
        with importing():
            from engine.run.job import load_job
            from flows.cli.terminal import show_begin, show_tried, watch

        job = load_job(read_settings(), request)
        show_begin(job)
        with suppress(GateError), nullcontext() if verbose else watch(job):
            run_in_process(MAIN_JOB, asdict(request), server)
        show_tried(job, Path(store), page)


@app.command("plan", rich_help_panel=MAKE, epilog="Example: exemplars plan u22a8.technical-writing --effort low")
def plan_command(
    context: typer.Context,
    handles: options.HandlesArgument = None,
    synth_type: options.SynthTypeOption = "from_traits",
    effort: options.EffortOption = None,
    prompts: Annotated[int, typer.Option(min=0, help="How many prompts of each kind to show, of one model.")] = 2,
    as_json: options.JsonOption = False,
    only_lacking: options.OnlyLackingOption = False,
    per_pole: options.PerPoleOption = None,
    namespace: options.NamespaceOption = None,
    glob: options.GlobOption = None,
    force: options.ForceOption = False,
    refresh: options.RefreshOption = False,
) -> None:
    """Show the plan of a run: prompts, calls, tokens, cost and minutes. For many models, show a backfill's sums.

    Calls no model and writes nothing.
    """

    handle_list = handles or []
    if len(handle_list) == 1 and not (namespace or glob or force):
        from flows.cli.plan import plan_run, show_planned

        planned = plan_run(read_settings(), RunRequest.take({**context.params, "handle": handle_list[0]}), prompts)
        if as_json:
            print(json.dumps(asdict(planned)))
        else:
            show_planned(planned)
        return
    # Before the next import, which imports Prefect.
    quiet_libraries(verbose=False)
    from flows.backfills.terminal import describe_json, estimate_backfill, make_request, show_estimate

    request = make_request(context.params)
    backfill_estimate = estimate_backfill(read_settings(), request, most=None)
    if as_json:
        print(json.dumps(describe_json(backfill_estimate)))
    else:
        show_estimate(backfill_estimate, request)


@app.command("mcp", rich_help_panel=HAND_ON, epilog="Example: exemplars mcp --http --port 8001")
def mcp_command(
    http: Annotated[
        bool,
        typer.Option("--http", help="Serve streamable HTTP on this machine; each request needs a key of the HTTP API."),
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port of --http. Without it, or with 0, a free one.")
    ] = None,
) -> None:
    """Serve models, samples and synthesis as MCP tools, by standard input and output or over HTTP."""
    if port is not None and not http:
        raise InputError(
            "--port is the port of --http: give both options, or neither to serve standard input and output"
        )

    settings = read_settings()
    quiet_libraries(verbose=False, logs_json=settings.log_format == "json")
    if importlib.util.find_spec("fastmcp") is None:
        raise InputError(
            "the tools for agents need fastmcp, which is not installed here. 'make install' brings it in a checkout, "
            "and pip install 'exemplars[mcp]' elsewhere"
        )
    # No retries in Prefect's client: the HTTP API itself retries, with a backoff in tenths of a second.
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "0")
    # Imported by name, like flows: the tools server is a layer above the commands, and uses one of them.
    with importing():
        sessions: Any = importlib.import_module("flows.tools_server.sessions")
    if http:
        sessions.serve_http(settings, port or 0)
    else:
        sessions.serve_stdio(settings)


for feature in (authoring, provider, backfills, judging, review, origin, export, catalogue, store):
    app.add_typer(feature.app)
app.add_typer(batches.app, name="batches", rich_help_panel=KEEP)
app.add_typer(models.app, name="models", rich_help_panel=KEEP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    # Without this, the interpreter scans all objects of litellm and Prefect for garbage before it ends: 1.2 s.
    atexit.register(gc.freeze)
    words = sys.argv[1:] if arguments is None else arguments
    # Typer has no options with an optional value, so ``--batch`` alone gets its default here.
    return run_app(app, ["--batch=first" if word == "--batch" else word for word in words], "exemplars")


def run() -> None:
    """Run the installed command."""
    sys.exit(main())
