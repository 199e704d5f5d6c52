"""Show a run in the terminal: its progress, and samples, verdict and paths at its end."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine.domain.definition import Pole, Trait
from engine.domain.model import POLES
from engine.domain.progress import (
    LISTENER,
    EstimateReady,
    Event,
    KeptCounted,
    Noticed,
    StageBegun,
)
from engine.domain.samples import Reason, RunStamp
from engine.domain.verdict import RunResult, Verdict
from engine.estimate.forecast import RunForecast
from engine.report.html import ReportData, render_report
from engine.report.wording import mark_rejected, pick_pairs
from engine.rules.rules import RULES_BY_CODE
from engine.run.job import Job
from engine.store.layout import REJECTED, SAMPLES, VERDICT
from engine.system.concurrency import holding, repeating_in_thread
from engine.system.filesystem import read_bytes
from engine.system.parquet import read_table
from engine.text.formatting import capitalise, count_noun, describe_others, name_reason
from flows.cli.console import make_console, make_live

INTERVAL_SECONDS = 10.0
COLOURS: dict[Pole, str] = {"positive": "cyan", "negative": "yellow"}


class RunProgress:
    """Count a run's events, and draw the progress in a terminal or print lines if there is no terminal."""

    def __init__(self, job: Job, console: Console) -> None:
        self._job = job
        self._console = console
        self._forecast = RunForecast("Starting")
        self._printed_at = 0.0
        # Events come from the run's threads, and the lines of ``break_silence`` from another thread.
        self._turn = threading.RLock()

    def report(self, event: Event) -> None:
        """Show one event. It must not raise: a run must not fail because its terminal is gone."""
        with self._turn:
            now = time.monotonic()
            self._forecast.take(event, now)
            line = _describe_event(event)
            if not line and self._forecast.is_begun and now - self._printed_at > INTERVAL_SECONDS:
                line = f"  {self._forecast.describe()}"
            if line and (isinstance(event, EstimateReady) or not self._console.is_terminal):
                self._printed_at = now
                self._console.print(line, soft_wrap=True)

    def break_silence(self) -> None:
        """Print a line if none was printed for ``INTERVAL_SECONDS``, from any thread."""
        with self._turn:
            if time.monotonic() - self._printed_at > INTERVAL_SECONDS:
                self._printed_at = time.monotonic()
                line = self._forecast.describe() if self._forecast.is_waiting else f"{self._forecast.stage} …"
                self._console.print(f"  {line}", soft_wrap=True)

    def draw(self) -> Group:
        """Return the live view: kept exemplars, quota and candidates of each trait and pole, and the calls."""
        table, job, forecast = Table.grid(padding=(0, 2)), self._job, self._forecast
        for trait in job.model.traits:
            for pole in POLES:
                kept, candidates = forecast.kept.get((trait.key, pole), 0), forecast.candidates[trait.key, pole]
                quota = job.level.exemplars_per_pole if job.missing is None else job.missing[trait.key, pole]
                bar = ProgressBar(
                    total=quota, completed=min(quota, kept + candidates), width=24, complete_style=COLOURS[pole]
                )
                more = f", {candidates}{' more' if kept else ''} to choose from" if candidates else ""
                table.add_row(trait.name, Text(trait.label(pole), style=COLOURS[pole]), bar, f"{kept} of {quota}{more}")
        calls = Text(forecast.describe(), style="dim")
        return Group(Text(forecast.stage, style="bold"), table, calls, Text(forecast.notice, style="yellow"))


@contextmanager
def watch(job: Job) -> Iterator[None]:
    """Show the events of the run during the block."""
    console = make_console(stderr=True)
    progress = RunProgress(job, console)
    silence = repeating_in_thread(progress.break_silence, INTERVAL_SECONDS)
    with holding(LISTENER, progress), make_live(console, progress.draw) if console.is_terminal else silence:
        yield


def _describe_event(event: Event) -> str:
    """Return the line for an event if nothing is drawn; empty for an event of a single call."""
    if isinstance(event, EstimateReady | StageBegun):
        return event.text
    if isinstance(event, Noticed):
        return f"  {event.text}"
    if isinstance(event, KeptCounted) and any(event.kept.values()):
        kept = ", ".join(f"{trait}/{pole} {count}" for (trait, pole), count in event.kept.items())
        return f"  kept (quota {max(event.quotas.values(), default=0)}): {kept}"
    return ""


def show_begin(job: Job) -> None:
    """Print a line about the run that begins, and a line for each skipped source of the definition."""
    level, model = job.level, job.model
    exemplars, traits = count_noun(level.exemplars_per_pole, "exemplar"), count_noun(len(model.traits), "trait")
    task = f"{exemplars} for each pole of {traits}"
    if job.missing is not None:
        task += f", of which {sum(job.missing.values()):,} are missing"
    print(f"{model.handle}: {task}, effort {level.effort}, synth model {level.synth_model}", file=sys.stderr)
    if job.note:
        print(job.note, file=sys.stderr)
    for skipped in model.skipped:
        print(f"Skipped: {skipped.what} ({skipped.why})", file=sys.stderr)


def show_pairs(console: Console, traits: Sequence[Trait], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a few texts of each trait, with both poles side by side."""
    for trait in traits:
        table = Table(title=trait.name, title_justify="left", title_style="bold", expand=True, show_lines=True)
        for pole in POLES:
            table.add_column(trait.label(pole), ratio=1, header_style=COLOURS[pole])
        for texts in pick_pairs(rows, trait.key):
            table.add_row(*(Text(texts[pole]) for pole in POLES))
        console.print(table)


def show_tried(job: Job, store: Path, page: Path) -> None:
    """Print the texts of a first look, passed ones before rejected ones with reasons; write the report to ``page``."""
    console, [verdict] = make_console(), store.rglob(Path(VERDICT).name)
    rows: list[Any] = [
        {"reason": None, "detail": None, **row}
        for file in (SAMPLES, REJECTED)
        for path in store.rglob(Path(file).name)
        for row in _read_texts(str(path))
    ]
    # Surplus texts passed, too: they have no partner for a pair, and a first look needs no pairs.
    passed = [row | {"reason": None} for row in rows if row["reason"] in (None, "surplus")]
    rejected = [row for row in rows if row["reason"] not in (None, "surplus")]
    reasons = Counter[Reason](row["reason"] for row in rejected)
    show_pairs(console, job.model.traits, [*passed, *map(mark_rejected, rejected)])
    texts = count_noun(len(rows), "text")
    data = ReportData(
        model=job.model,
        stamp=RunStamp("", job.model.handle, job.synth_type, job.level.effort, datetime.now(UTC)),
        synth_model=job.level.synth_model,
        verdict=Verdict((), (), {}),
        headline=f"A first look: {len(passed):,} of {texts} passed the rules",
        summary="A run asks for more texts, and chooses among them. Nothing is attached.",
        notes=tuple(json.loads(verdict.read_bytes())["notes"]),
        kept=tuple(passed),
        rejected=tuple(rejected),
        reasons=reasons,
        details={row["id"]: row["detail"] or "" for row in rejected},
        first_look=True,
    )
    console.print(f"{data.headline}. {data.summary}")
    for reason, count in reasons.most_common():
        console.print(f"  {count:,} × {name_reason(reason)}: {RULES_BY_CODE[reason].explanation}", markup=False)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render_report(data), encoding="utf-8")
    console.print(f"report   {str(page).removeprefix(f'{Path.cwd()}/')}", soft_wrap=True)


def _read_texts(uri: str) -> list[dict[str, Any]]:
    return [row for row in read_table(read_bytes(uri)).to_pylist() if row["text"]]


def show_result(job: Job, result: RunResult) -> None:
    """Print a few samples of both poles side by side, the headline, each warning, and the paths of the files."""
    console = make_console()
    if not result.samples:
        console.print(f"{capitalise(result.headline)}. Nothing was asked.")
        return
    show_pairs(console, job.model.traits, _read_texts(result.samples))
    colour = "yellow" if result.findings else "green"
    console.print(Text(f"\n{capitalise(result.headline)}", style=f"bold {colour}"))
    for finding in result.findings:
        console.print(Padding(Text(f"! {finding.sentences}", style="yellow"), (0, 0, 0, 2)))
        if finding.command:
            # On a separate line, to be copied unchanged.
            console.print(Text(f"    {finding.command}"), soft_wrap=True)
    counts = ", ".join(f"{trait}/{pole} {count}" for (trait, pole), count in result.kept.items())
    others = describe_others(result.rejected, result.spare)
    kept = "kept" if job.missing is not None else f"kept (quota {result.wanted})"
    console.print(f"{kept}: {counts}; {others}")
    for name, path in (("samples", result.samples), ("report", result.report)):
        console.print(f"{name:8} {path.removeprefix(f'{Path.cwd()}/')}", soft_wrap=True)
    if result.status == "proposed":
        console.print("Read the report, then attach the set (`--leave-out` leaves a sample out), or reject it:")
        for what in ("--attach", "--reject"):
            console.print(Text(f"  exemplars review {result.run_id} {what}"), soft_wrap=True)
