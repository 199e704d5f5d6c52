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


def make_result(folder: Path) -> RunResult:
    stored = attach_set(folder, "one", 8)
    result = RunResult("one", "attached", stored.file(SAMPLES), stored.file(REPORT), 4, {("clarity", "positive"): 4})
    return replace(result, rejected=9, spare=87, headline=state_headline(8, 0, "from_traits"))


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
