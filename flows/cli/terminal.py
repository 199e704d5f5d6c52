"""Shows a run in the terminal: progress while it goes on, and samples, verdict and paths at its end."""

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

from engine.domain.model import POLES, Pole, Trait
from engine.domain.progress import (
    LISTENER,
    EstimateMade,
    Event,
    KeptCounted,
    Noticed,
    StageBegun,
)
from engine.domain.samples import Reason, RunStamp
from engine.domain.verdict import RunResult, Verdict
from engine.estimate.forecast import RunForecast
from engine.report.html import ReportData, render_report
from engine.report.wording import EXPLANATIONS, mark_rejected, pick_pairs
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
    """Counts what a run reports, and draws it in a terminal or prints lines where there is none."""

    def __init__(self, job: Job, console: Console) -> None:
        self._job = job
        self._console = console
        self._forecast = RunForecast("Starting")
        self._printed_at = 0.0
        # Events come from the run's threads, and the line of a silence from its own.
        self._turn = threading.RLock()

    def report(self, event: Event) -> None:
        """Shows one event. It must not raise: a run must not fail because its terminal is gone."""
        with self._turn:
            now = time.monotonic()
            self._forecast.take(event, now)
            said = _word(event)
            if not said and self._forecast.is_begun and now - self._printed_at > INTERVAL_SECONDS:
                said = f"  {self._forecast.describe()}"
            if said and (isinstance(event, EstimateMade) or not self._console.is_terminal):
                self._printed_at = now
                self._console.print(said, soft_wrap=True)

    def break_silence(self) -> None:
        """Prints a line where none has come for ``INTERVAL_SECONDS``, from whichever thread."""
        with self._turn:
            if time.monotonic() - self._printed_at > INTERVAL_SECONDS:
                self._printed_at = time.monotonic()
                said = self._forecast.describe() if self._forecast.is_waiting else f"{self._forecast.stage} …"
                self._console.print(f"  {said}", soft_wrap=True)

    def draw(self) -> Group:
        """The live view: of each trait and pole the exemplars that are kept, and wanted, or that stand by the rules so
        far; and the calls.
        """
        table, job, forecast = Table.grid(padding=(0, 2)), self._job, self._forecast
        for trait in job.model.traits:
            for pole in POLES:
                kept, standing = forecast.kept.get((trait.key, pole), 0), forecast.candidates[trait.key, pole]
                wanted = job.level.exemplars_per_pole if job.lacking is None else job.lacking[trait.key, pole]
                come = min(wanted, kept + standing)
                bar = ProgressBar(total=wanted, completed=come, width=24, complete_style=COLOURS[pole])
                told = f"{kept} of {wanted}" + (
                    f", {standing}{' more' if kept else ''} to choose from" if standing else ""
                )
                table.add_row(trait.name, Text(trait.label(pole), style=COLOURS[pole]), bar, told)
        calls = Text(forecast.describe(), style="dim")
        return Group(Text(forecast.stage, style="bold"), table, calls, Text(forecast.notice, style="yellow"))


@contextmanager
def watch(job: Job) -> Iterator[None]:
    """Shows the events of the run inside the block."""
    console = make_console(stderr=True)
    progress = RunProgress(job, console)
    silence = repeating_in_thread(progress.break_silence, INTERVAL_SECONDS)
    with holding(LISTENER, progress), make_live(console, progress.draw) if console.is_terminal else silence:
        yield


def _word(event: Event) -> str:
    """The line for an event where nothing is drawn, empty for one of a single call."""
    if isinstance(event, EstimateMade | StageBegun):
        return event.text
    if isinstance(event, Noticed):
        return f"  {event.text}"
    if isinstance(event, KeptCounted) and any(event.kept.values()):
        kept = ", ".join(f"{trait}/{pole} {count}" for (trait, pole), count in event.kept.items())
        return f"  kept of {max(event.quotas.values(), default=0)}: {kept}"
    return ""


def show_begin(job: Job) -> None:
    """Prints a line on what the run will do, and a line for each source of the definition that is skipped."""
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


def show_pairs(console: Console, traits: Sequence[Trait], rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints a few texts of each trait, those of both poles side by side."""
    for trait in traits:
        table = Table(title=trait.name, title_justify="left", title_style="bold", expand=True, show_lines=True)
        for pole in POLES:
            table.add_column(trait.label(pole), ratio=1, header_style=COLOURS[pole])
        for texts in pick_pairs(rows, trait.key):
            table.add_row(*(Text(texts[pole]) for pole in POLES))
        console.print(table)


def show_tried(job: Job, store: Path, page: Path) -> None:
    """Prints the texts that a first look has made, those that stand before the others, which tell why they do not, and
    puts its report to ``page``.
    """
    console, [verdict] = make_console(), store.rglob(Path(VERDICT).name)
    made: list[Any] = [
        {"reason": None, "detail": None, **row}
        for file in (SAMPLES, REJECTED)
        for path in store.rglob(Path(file).name)
        for row in _read_texts(str(path))
    ]
    # What is to spare lacks the other half of its pair, which no first look needs.
    standing = [row | {"reason": None} for row in made if row["reason"] in (None, "surplus")]
    rejected = [row for row in made if row["reason"] not in (None, "surplus")]
    reasons = Counter[Reason](row["reason"] for row in rejected)
    show_pairs(console, job.model.traits, [*standing, *map(mark_rejected, rejected)])
    count, texts = len(standing), count_noun(len(made), "text")
    data = ReportData(
        model=job.model,
        stamp=RunStamp("", job.model.handle, job.synth_type, job.level.effort, datetime.now(UTC)),
        synth_model=job.level.synth_model,
        verdict=Verdict(True, (), (), (), {}),
        headline=f"A first look: {count:,} of {texts} {'stands' if count == 1 else 'stand'}",
        made="A run asks for more, and chooses among them. Nothing is attached.",
        notes=tuple(json.loads(verdict.read_bytes())["notes"]),
        kept=tuple(standing),
        rejected=tuple(rejected),
        reasons=reasons,
        details={row["id"]: row["detail"] or "" for row in rejected},
        first_look=True,
    )
    console.print(f"{data.headline}. {data.made}")
    for reason, count in reasons.most_common():
        console.print(f"  {count:,} × {name_reason(reason)}: {EXPLANATIONS[reason]}", markup=False)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render_report(data), encoding="utf-8")
    console.print(f"report   {str(page).removeprefix(f'{Path.cwd()}/')}", soft_wrap=True)


def _read_texts(uri: str) -> list[dict[str, Any]]:
    return [row for row in read_table(read_bytes(uri)).to_pylist() if row["text"]]


def show_result(job: Job, result: RunResult) -> None:
    """Prints a few samples of both poles side by side, the headline, each warning, and the paths of the files."""
    console = make_console()
    if not result.samples:
        console.print(f"{capitalise(result.headline)}. Nothing was asked.")
        return
    show_pairs(console, job.model.traits, _read_texts(result.samples))
    colour = "yellow" if result.warnings else "green"
    console.print(Text(f"\n{capitalise(result.headline)}", style=f"bold {colour}"))
    for warning in result.warnings:
        said, colon, command = warning.partition(": exemplars ")
        console.print(Padding(Text(f"! {said}{colon[:1]}", style="yellow"), (0, 0, 0, 2)))
        if command:
            # On a line of its own, to be copied as it stands.
            console.print(Text(f"    exemplars {command}"), soft_wrap=True)
    counts = ", ".join(f"{trait}/{pole} {count}" for (trait, pole), count in result.kept.items())
    others = describe_others(result.rejected, result.spare)
    kept = "kept" if job.lacking is not None else f"kept of {result.wanted}"
    console.print(f"{kept}: {counts}; {others}")
    for name, path in (("samples", result.samples), ("report", result.report)):
        console.print(f"{name:8} {path.removeprefix(f'{Path.cwd()}/')}", soft_wrap=True)
    if result.status == "proposed":
        console.print("Read the report, then attach the set (`--leave-out` leaves a sample out), or reject it:")
        for what in ("--attach", "--reject"):
            console.print(Text(f"  exemplars review {result.run_id} {what}"), soft_wrap=True)
