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


def test_headline_has_its_warnings_below_it_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job, clean = Job(make_model(), "from_traits", make_level(4)), make_result(tmp_path)
    show_result(job, clean)
    short = capsys.readouterr().out
    show_result(job, replace(clean, warnings=WARNINGS, headline=state_headline(8, 2, "from_traits")))
    headline, _, told = capsys.readouterr().out.partition("look before you train")

    assert "\n8 attached\nkept of 4: " in short
    assert headline.endswith("\n8 attached, with 2 warnings: ")
    assert " ".join(told.split()).startswith(
        f"! {WARNINGS[0]} ! {WARNINGS[1]} kept of 4: clarity/positive 4; 9 rejected, 87 to spare "
    )


@pytest.mark.parametrize("said", ["[/bold]", "[red]x", ":smile:", "\\[x]"])
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
