"""The commands ``exemplars batches list`` and ``cancel``: calls that wait for a provider's batch."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from engine.errors import InputError
from engine.settings import read_settings
from engine.text.formatting import count_noun, format_cost
from flows.cli.in_process import quiet_libraries
from flows.cli.options import JsonOption

app = typer.Typer(no_args_is_help=True, help="List and cancel the calls that wait for a provider's batch.")


@app.command("list", epilog="Example: exemplars batches list")
def list_command(as_json: JsonOption = False) -> None:
    """List the open batches, with the maximum cost and deadline of each, and the runs that wait."""
    quiet_libraries(verbose=False)
    from rich.text import Text

    from engine.llm.batches.account import BatchAccount
    from engine.llm.batches.outbox import Outbox
    from flows.batches.collect import format_time
    from flows.cli.console import make_console, make_table

    with Outbox(read_settings().replies_place) as outbox:
        batches, runs = outbox.list_batches(), outbox.find_runs()
    if as_json:
        documents = [asdict(batch) | {"place": json.loads(batch.place), "state": batch.state} for batch in batches]
        waiting = [
            {"run_id": run.run_id, "handle": run.handle, "queued_at": run.queued_at, "lines": run.counts}
            for run in runs
        ]
        print(json.dumps({"batches": documents, "runs": waiting}))
        return
    console = make_console()
    if not batches and not runs:
        console.print("Nothing waits for a batch")
        return
    if batches:
        table = make_table("batch", "model", "state", "created", "until", numbers=("calls", "answered", "at most"))
        for batch in batches:
            model, times = BatchAccount.from_json(batch.place).model, map(format_time, (batch.created_at, batch.until))
            cells = map(Text, (batch.batch[:12], model, batch.state, *times))
            table.add_row(*cells, f"{batch.lines:,}", f"{batch.done:,}", format_cost(batch.ceiling_usd))
        console.print(table)
    if runs:
        table = make_table("run", "model", "since", numbers=("not sent", "sent", "answered", "asked live"))
        for run in runs:
            numbers = (f"{count:,}" for count in run.counts.values())
            table.add_row(*map(Text, (run.run_id, run.handle, format_time(run.queued_at))), *numbers)
        console.print(table)


@app.command("cancel", epilog="Example: exemplars batches cancel 3f9c21ab07de")
def cancel_command(
    which: Annotated[str, typer.Argument(metavar="ID", help="A batch or a run of `exemplars batches list`.")],
) -> None:
    """Cancel a batch, or the unsent calls of a run. Replies that the provider has given are kept and paid for."""
    quiet_libraries(verbose=False)
    from engine.llm.batches.outbox import Outbox

    with Outbox(read_settings().replies_place) as outbox:
        batches = [batch.batch for batch in outbox.list_batches() if which and batch.batch.startswith(which)]
        runs = outbox.find_runs(run_id=which)
        if len(batches) + len(runs) != 1:
            count = "no batch and no run" if not batches else f"{len(batches)} batches"
            raise InputError(f"{which!r} matches {count} in the list. 'exemplars batches list' shows all that wait")
        for run in runs:
            outbox.end(run.run_id)
            print(
                f"{count_noun(run.waits, 'call')} of run {run.run_id} will not be sent; replies to sent calls are kept "
                "when they arrive. Cancel the run in Prefect too, if it is suspended there"
            )
        for batch in batches:
            outbox.cancel(batch)
            print(f"Batch {batch[:12]} is cancelled by the next pass, within five minutes; its runs ask the rest live")
