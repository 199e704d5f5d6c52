"""Shows a run in the terminal: progress while it goes on, and samples, verdict and paths at its end."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console, Group
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine.domain.model import POLES, Pole
from engine.domain.progress import (
    PROGRESS_LOGGER,
    CallBegun,
    CallEnded,
    CallsPlanned,
    EstimateMade,
    Event,
    KeptCounted,
    Noticed,
    StageBegun,
)
from engine.domain.verdict import RunResult
from engine.report.wording import describe_others, pick_pairs
from engine.run.job import Job
from engine.text.formatting import capitalise, count_noun
from flows.cli.console import make_console, make_live

INTERVAL_SECONDS = 10.0
COLOURS: dict[Pole, str] = {"positive": "cyan", "negative": "yellow"}


@dataclass(slots=True)
class Counters:
    """The state of a run's progress, summed from its events."""

    stage: str = "Starting"
    planned: int = 0
    done: int = 0
    reused: int = 0
    failed: int = 0
    in_flight: set[str] = field(default_factory=set)
    tokens: int = 0
    kept: dict[tuple[str, Pole], int] = field(default_factory=dict)
    wanted: int = 0
    first_call: float | None = None
    notice: str = ""

    def add(self, event: Event, now: float) -> None:
        """Adds one event; ``now`` is a monotonic time in seconds."""
        if isinstance(event, StageBegun):
            self.stage = event.text
        elif isinstance(event, CallsPlanned):
            self.planned += event.count
        elif isinstance(event, CallBegun):
            self.in_flight.add(event.key)
            self.first_call = self.first_call or now
        elif isinstance(event, CallEnded):
            self.done += 1
            self.reused += event.reused
            self.failed += event.failed
            self.in_flight.discard(event.key)
            self.tokens += 0 if event.reused else event.completion_tokens
        elif isinstance(event, Noticed):
            self.notice = event.text
        elif isinstance(event, KeptCounted):
            self.kept, self.wanted = dict(event.kept), max(event.quotas.values(), default=0)

    def describe_calls(self, now: float) -> str:
        """Calls done and in flight, tokens a second, time left, in one line."""
        parts = [f"{self.done} of {count_noun(self.planned, 'call')}", f"{len(self.in_flight)} in flight"]
        if self.reused:
            parts.append(f"{self.reused} from kept replies")
        asked = self.done - self.reused
        if self.first_call is not None and asked and now > self.first_call:
            seconds = now - self.first_call
            parts.append(f"{self.tokens / seconds:.0f} tokens/s")
            left = (self.planned - self.done) * seconds / asked
            parts.append(f"about {left:.0f} s left in this step")
        return ", ".join(parts)


class _Listener(logging.Handler):
    """Receives the run's events from the progress logger, counts them, and without a live table prints lines."""

    def __init__(self, counters: Counters, console: Console) -> None:
        super().__init__()
        self.counters = counters
        self._console = console
        self._printed_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Shows one event. It must not raise: a run must not fail because its terminal is gone."""
        event = getattr(record, "event", None)
        if event is None:
            return
        now = time.monotonic()
        self.counters.add(event, now)
        is_told = isinstance(event, StageBegun | KeptCounted | Noticed) or now - self._printed_at > INTERVAL_SECONDS
        if isinstance(event, EstimateMade) or (is_told and not self._console.is_terminal):
            self._printed_at = now
            self._console.print(describe_plainly(self.counters, event, now), soft_wrap=True)


@contextmanager
def watch(job: Job, silent: bool) -> Iterator[None]:
    """Shows the events of the run inside the block, unless ``silent``."""
    if silent:
        yield
        return
    console = make_console(stderr=True)
    counters = Counters()
    logger = logging.getLogger(PROGRESS_LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    live = make_live(console, lambda: draw_progress(counters, job, time.monotonic()))
    listener = _Listener(counters, console)
    logger.addHandler(listener)
    try:
        with live if console.is_terminal else nullcontext():
            yield
    finally:
        logger.removeHandler(listener)


def draw_progress(counters: Counters, job: Job, now: float) -> Group:
    """The live view: kept and wanted exemplars of each trait and pole, and the calls."""
    table = Table.grid(padding=(0, 2))
    for trait in job.model.traits:
        for pole in POLES:
            kept = counters.kept.get((trait.key, pole), 0)
            wanted = job.level.exemplars_per_pole if job.lacking is None else job.lacking[trait.key, pole]
            bar = ProgressBar(total=wanted, completed=kept, width=24, complete_style=COLOURS[pole])
            table.add_row(trait.name, Text(trait.label(pole), style=COLOURS[pole]), bar, f"{kept} of {wanted}")
    calls = Text(counters.describe_calls(now), style="dim")
    return Group(Text(counters.stage, style="bold"), table, calls, Text(counters.notice, style="yellow"))


def describe_plainly(counters: Counters, event: Event, now: float) -> str:
    """One line for an event: the estimate, the stage, the counts, a notice or the calls."""
    if isinstance(event, EstimateMade):
        return event.text
    if isinstance(event, StageBegun):
        return counters.stage
    if isinstance(event, KeptCounted):
        kept = ", ".join(f"{trait}/{pole} {count}" for (trait, pole), count in counters.kept.items())
        return f"  kept of {counters.wanted}: {kept}"
    if isinstance(event, Noticed):
        return f"  {event.text}"
    return f"  {counters.describe_calls(now)}"


def show_begin(job: Job, silent: bool) -> None:
    """Prints a line on what the run will do, and a line for each source of the definition that is skipped."""
    if silent:
        return
    level, model = job.level, job.model
    wanted, traits = count_noun(level.exemplars_per_pole, "exemplar"), count_noun(len(model.traits), "trait")
    made = f"{wanted} for each pole of {traits}"
    if job.lacking is not None:
        made += f", of which {sum(job.lacking.values()):,} are lacking"
    print(f"{model.handle}: {made}, effort {level.effort}, synth model {level.synth_model}", file=sys.stderr)
    if job.note:
        print(job.note, file=sys.stderr)
    for skipped in model.skipped:
        print(f"Skipped: {skipped.what} ({skipped.why})", file=sys.stderr)


def show_result(job: Job, result: RunResult) -> None:
    """Prints a few samples of both poles side by side, the headline, each warning, and the paths of the files."""
    console = make_console()
    if not result.samples:
        console.print(f"{capitalise(result.headline)}. Nothing was asked.")
        return
    rows = pq.read_table(result.samples, columns=["trait", "pole", "text", "pair_id"]).to_pylist()
    for trait in job.model.traits:
        table = Table(title=trait.name, title_justify="left", title_style="bold", expand=True, show_lines=True)
        for pole in POLES:
            table.add_column(trait.label(pole), ratio=1, header_style=COLOURS[pole])
        for texts in pick_pairs(rows, trait.key):
            table.add_row(*(Text(texts[pole]) for pole in POLES))
        console.print(table)
    colour = "yellow" if result.warnings else "green"
    console.print(Text(f"\n{capitalise(result.headline)}", style=f"bold {colour}"))
    for warning in result.warnings:
        console.print(Padding(Text(f"! {warning}", style="yellow"), (0, 0, 0, 2)))
    counts = ", ".join(f"{trait}/{pole} {count}" for (trait, pole), count in result.kept.items())
    others = describe_others(result.rejected, result.spare)
    kept = "kept" if job.lacking is not None else f"kept of {result.wanted}"
    console.print(f"{kept}: {counts}; {others}")
    for name, path in (("samples", result.samples), ("report", result.report)):
        console.print(f"{name:8} {shorten_path(path)}", soft_wrap=True)
    if result.status == "proposed":
        console.print("Read the report, then attach the set, or reject it:")
        for what in ("--attach [--leave-out ID ...]", "--reject"):
            console.print(Text(f"  exemplars review {result.run_id} {what}"), soft_wrap=True)


def shorten_path(path: str) -> str:
    """A path relative to the current folder if it lies below it; any other path or URI unchanged."""
    here = str(Path.cwd())
    return path.removeprefix(f"{here}/")
