"""What a user, a model, a provider or a platform wrote is printed as text, of which a terminal obeys nothing."""

import errno
import io
import json
import logging
import re
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from fakes.builders import make_level, make_model, make_trait
from fakes.commands import commanding
from fakes.stored import attach_set
from prefect.logging.handlers import PrefectConsoleHandler
from pydantic import BaseModel, model_serializer
from rich.table import Table
from rich.text import Text

from engine.domain.finding import Finding
from engine.domain.progress import CallBegun, CallsPlanned, StageBegun
from engine.domain.verdict import RunResult
from engine.errors import ProviderError
from engine.report.wording import state_headline
from engine.run.job import Job
from engine.settings import LogFormat
from engine.store.layout import REPORT, SAMPLES
from flows.cli.console import make_console
from flows.cli.terminal import RunProgress, show_result
from flows.exit_codes import guard_output, run_app
from flows.observability.json_logs import choose_formatter
from flows.observability.logs import set_up_logs

OBEYED = {
    "colour": "\x1b[31m",
    "link": "\x1b]8;;http://e.test\x1b\\here\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;aGk=\x07",
    "8-bit control": "\x9b2J\x85",
    "overwritten": "right\rwrong\x08\x7f\x00",
    "turned round": "\u202etxt.exe\u2066",
    "line of its own": "\u2028exemplars: attached",
    "bytes of a file's name": "\udcff",
}


def is_plain(text: str) -> bool:
    """Whether a terminal writes every character where it stands, and does nothing else."""
    return not any(
        unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(letter) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        for letter in re.sub(r"[\n\t]", "", text)
    )


def print_on_console(text: str) -> None:
    console = make_console()
    table = Table(text, title=text)
    table.add_row(Text(text))
    for item in (table, text, Text.assemble((text, "bold"), text)):
        console.print(item, soft_wrap=True)


def call(work: Callable[[], object]) -> int:
    """The exit code of a command that does this."""
    app = typer.Typer()

    @app.command()
    def command() -> None:
        work()

    return run_app(app, [], "it")


def fail(text: str) -> None:
    def ask() -> None:
        print(text, file=sys.stderr)
        raise ProviderError(text)

    assert 3 == call(ask)


def print_as_json(text: str) -> None:
    guard_output()
    print(json.dumps({"said": text}, ensure_ascii=False))


@pytest.mark.parametrize("text", OBEYED.values(), ids=OBEYED)
@pytest.mark.parametrize("way", [print_on_console, fail, print_as_json])
def test_what_a_terminal_obeys_is_shown_as_an_escape(
    capsys: pytest.CaptureFixture[str], way: Callable[[str], None], text: str
) -> None:
    way(text)
    said = "".join(capsys.readouterr())

    assert is_plain(said)
    assert re.search(r"\\u[0-9a-f]{4}", said)
    assert way is not print_as_json or {"said": text} == json.loads(said)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_record_of_a_log_is_plain_and_looks_like_no_other(log_format: LogFormat) -> None:
    *texts, half = OBEYED.values()
    forged = "\n2026-12-01 12:00:00,000 INFO all is well".join([*texts, ""])
    logger, stream = logging.getLogger("test.console"), io.StringIO()
    logger.propagate = False
    logger.addHandler(PrefectConsoleHandler(stream))
    try:
        set_up_logs(log_format)
        error = (ProviderError, ProviderError(forged), None)
        logger.error("%s", forged, exc_info=error, extra={"odd": object()})
    finally:
        logger.handlers.clear()
    formatter = choose_formatter(log_format)

    for said in (stream.getvalue(), formatter.format(logging.makeLogRecord({"msg": forged}))):
        assert is_plain(said)
        assert "all is well" in said
        assert [] == [line for line in said.splitlines()[1:] if not line.startswith("  ")]
    # Left to the formatter alone: pytest keeps what is logged, and cannot send half of a pair to its main process.
    assert is_plain(formatter.format(logging.makeLogRecord({"msg": half})))


@pytest.mark.parametrize("said", ["[/bold]", "[red]x", ":smile:", "\\[x]"])
def test_nothing_of_a_user_is_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str], said: str) -> None:
    stored = attach_set(tmp_path / "[id]", "one", 8)
    model = make_model(make_trait(name=said, positive_label=said))
    job = Job(model, "from_traits", make_level(4))
    result = RunResult("one", "attached", stored.file(SAMPLES), stored.file(REPORT), 4, {("clarity", "positive"): 4})
    show_result(
        job,
        replace(
            result, headline=state_headline(8, (), "from_traits"), findings=(Finding("expect_a", "warning", said),)
        ),
    )
    console = make_console()
    console.print(RunProgress(job, console).draw())
    printed = capsys.readouterr().out

    assert 6 == printed.count(said)
    assert result.samples in printed


def test_line_comes_where_no_event_does(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(20, 999, 6))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = RunProgress(Job(make_model(), "from_traits", make_level(4)), make_console())
    for event in (None, StageBegun("Round 1"), CallsPlanned(8), CallBegun("0")):
        if event:
            progress.report(event)
        progress.break_silence()
        progress.break_silence()

    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "Starting …" == lines[0]
    assert ["Round 1", "Round 1 …"] == lines[1:3]
    assert "0 of 8 calls, 1 in flight, the model reads the prompts" == lines[-1]


class Interrupted(BaseModel):
    @model_serializer
    def serialize(self) -> None:
        raise KeyboardInterrupt


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("work", [interrupt, Interrupted().model_dump])
def test_interrupt_is_told_also_where_pydantic_wraps_it(
    capsys: pytest.CaptureFixture[str], work: Callable[[], object]
) -> None:
    with commanding(capsys):
        assert 130 == call(work)
        assert ("", "exemplars: interrupted\n") == capsys.readouterr()


def fail_in_pipe() -> None:
    raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("by\nzero"), KeyError("sample"), ExceptionGroup("both", [OSError()])]
)
def test_unexpected_error_is_neither_a_failed_gate_nor_bad_input(
    capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def work() -> None:
        raise error

    code = call(work)
    message = capsys.readouterr().err
    last = message.splitlines()[-1]

    assert 3 == code
    assert "Traceback (most recent call last)" in message
    assert ", in work\n" in message
    assert last.startswith(f"exemplars: unexpected error, perhaps a mistake in the program: {type(error).__name__}: ")


def test_closed_output_is_no_failed_gate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # typer puts others in their places.
    monkeypatch.setattr("sys.stdout", sys.stdout)
    monkeypatch.setattr("sys.stderr", sys.stderr)
    code = call(fail_in_pipe)

    assert (3, ("", "")) == (code, capsys.readouterr())
