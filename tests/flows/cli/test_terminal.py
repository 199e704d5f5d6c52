"""What a run prints at its end: the headline, every warning with what to do, and the counts."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.builders import make_level, make_model, make_trait
from fakes.stored import attach_set

from engine.report.headline import state_headline
from engine.report.summary import RunResult
from engine.run.job import Job
from engine.store.layout import REPORT, SAMPLES
from flows.cli.console import make_console
from flows.cli.terminal import Counters, draw_progress, show_result

WARNINGS = ("clarity: 1 of its 8 exemplars reads like the other pole. Read it.", "clarity: one word tells. Replace it.")


def make_result(folder: Path) -> RunResult:
    stored = attach_set(folder, "one", 8)
    result = RunResult("one", "attached", stored.file(SAMPLES), stored.file(REPORT), 4, {("clarity", "positive"): 4})
    return replace(result, rejected=9, spare=87, headline=state_headline(8, 0, "from_traits"))


def print_result(result: RunResult, capsys: pytest.CaptureFixture[str]) -> str:
    show_result(Job(make_model(), "from_traits", make_level(4)), result)
    return capsys.readouterr().out


def test_warnings_stand_under_the_headline_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = replace(make_result(tmp_path), warnings=WARNINGS, headline=state_headline(8, 2, "from_traits"))
    lines = print_result(result, capsys).splitlines()
    first = lines.index("8 attached, with 2 warnings: look before you train")
    told = " ".join(line.strip() for line in lines[first + 1 :])

    assert told.startswith(f"! {WARNINGS[0]} ! {WARNINGS[1]} kept of 4: clarity/positive 4; 9 rejected, 87 to spare ")


def test_set_without_warnings_is_attached_and_nothing_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = print_result(make_result(tmp_path), capsys)

    assert "\n8 attached\nkept of 4: " in said
    assert "gate" not in said


@pytest.mark.parametrize("said", ["[/]", "[/bold]", "[red]x", "[b]x[/b]", ":smile:", "\\[x]"])
def test_nothing_of_a_user_is_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str], said: str) -> None:
    (folder := tmp_path / "[id]").mkdir()
    result = replace(make_result(folder), warnings=(said,))
    model = make_model(make_trait(name=said, positive_label=said))
    job = Job(model, "from_traits", make_level(4))
    show_result(job, result)
    make_console().print(draw_progress(Counters(), job, 0.0))
    printed = capsys.readouterr().out

    assert 6 == printed.count(said)
    assert result.samples in printed
