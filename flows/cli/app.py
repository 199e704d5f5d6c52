"""Defines the command ``exemplars`` and its subcommands, which print for people, or with ``--json`` for programs."""

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


def show_version(asked: bool) -> None:
    """Prints the version and ends, where it is asked for."""
    if asked:
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
    as_json: Annotated[bool, options.json_option("run_id, status, samples, report")] = False,
    verbose: options.VerboseOption = False,
    only_lacking: options.OnlyLackingOption = False,
    strict: options.StrictOption = False,
    per_pole: options.PerPoleOption = None,
    refresh: options.RefreshOption = False,
    batch: options.BatchOption = "none",
) -> None:
    """Make samples for one model, check them, and attach them where nothing critical is found."""

    settings, request = read_settings(), RunRequest.take(context.params)
    logs_json = settings.log_format == "json"
    quiet_libraries(verbose or logs_json, logs_json)
    from flows.run.worker import forking_worker

    with starting_server() as server, forking_worker():
        # Imported late: Prefect reads its settings on import, and a mistyped handle should not have to wait for that.
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
        print(json.dumps({name: asdict(result)[name] for name in ("run_id", "status", "samples", "report")}))
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
    """Make three texts a pole, to see what the prompts make: here and as a page. Attaches and keeps nothing."""
    from engine.definitions.effort import write_first_look

    settings, request = read_settings(), RunRequest.take(context.params)
    quiet_libraries(verbose)
    from flows.run.worker import forking_worker

    page = Path(settings.cache_dir, "tries", f"{handle}.html")
    with TemporaryDirectory(prefix="exemplars-try-") as store, ExitStack() as stack:
        # Messages name it as the user does.
        dial = Path(store, Path(settings.effort_file).name)
        dial.write_text(write_first_look(settings.effort_file), encoding="utf-8")
        # The flow reads its settings itself. On a server that others use, its events and states would be taken for
        # those of a run that is meant.
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
    """Show what a run would do: prompts, calls, tokens, cost and minutes; of many models the sum, as a backfill's.

    Calls no model and writes nothing.
    """

    named = handles or []
    if len(named) == 1 and not (namespace or glob or force):
        from flows.cli.plan import plan_run, show_planned

        planned = plan_run(read_settings(), RunRequest.take({**context.params, "handle": named[0]}), prompts)
        if as_json:
            print(json.dumps(asdict(planned)))
        else:
            show_planned(planned)
        return
    # Prefect is imported by what follows.
    quiet_libraries(verbose=False)
    from flows.backfills.terminal import describe_json, estimate_backfill, make_request, show_estimate

    request = make_request(context.params)
    outlook = estimate_backfill(read_settings(), request, most=None)
    if as_json:
        print(json.dumps(describe_json(outlook, request)))
    else:
        show_estimate(outlook, request)


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
        raise InputError("--port is the port of --http: say both, or neither to serve standard input and output")

    settings = read_settings()
    quiet_libraries(verbose=False, logs_json=settings.log_format == "json")
    if importlib.util.find_spec("fastmcp") is None:
        raise InputError(
            "the tools for agents need fastmcp, which is not installed here. 'make install' brings it in a checkout, "
            "and pip install 'exemplars[mcp]' elsewhere"
        )
    # The HTTP API asks again by itself, with a backoff in tenths of a second.
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "0")
    # By name, as flows are: it stands above the commands, and uses one.
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
    """Runs the command and returns its exit code."""
    # Without this the interpreter collects garbage in all that litellm and Prefect have loaded before it ends: 1.2 s.
    atexit.register(gc.freeze)
    words = sys.argv[1:] if arguments is None else arguments
    # Typer has no option whose value may be left out.
    return run_app(app, ["--batch=first" if word == "--batch" else word for word in words], "exemplars")


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main())
