"""What to do next: first on the run page, and true when it is pasted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from fakes.builders import make_exemplar, make_level, make_pair, make_rounds, make_test_plan
from fakes.stored import attach_set

from engine.asking.plan import MIN_HOPELESS
from engine.domain.samples import Exemplar
from engine.domain.verdict import Verdict
from engine.report.run_page import format_command, write_next_steps, write_reading
from engine.store.store import StoredSet
from flows.cli.app import app

PASSED = Verdict(True, (), (), (), {}, ())
FAILED = Verdict(False, ("Expected that no text occurs twice: 1 of them.",), (), (), {}, ())
DOOR = "https://door.test/"
STORED = StoredSet("samples/run=1", {"run_id": "1"})


def write(verdict: Verdict, api_url: str | None = None, *made: Exemplar, stored: StoredSet = STORED) -> str:
    rounds = make_rounds(make_test_plan(level=make_level(1)))
    rounds.next_cells()
    rounds.add_and_choose(made or make_pair())
    return write_next_steps(rounds, verdict, stored, api_url)


def test_lines_load_the_samples_when_they_are_pasted(tmp_path: Path) -> None:
    place = "s3://bucket/samples?endpoint_override=host:9000&scheme=http/handle=a.b/samples.parquet"
    page = write(PASSED, stored=attach_set(tmp_path / 'a "b" \\ ü', "one", 6))
    found: dict[str, Any] = {}
    exec(compile(page.split("```python\n")[1].split("\n```")[0], "page", "exec"), found)

    assert 6 == len(found["samples"])
    # Arrow's own query is not given to pandas.
    assert 'samples = pd.read_parquet("s3://bucket/samples/handle=a.b/samples.parquet")' == write_reading(place)[1]


def test_samples_are_used_or_reviewed_first() -> None:
    proposed, warned = write(replace(PASSED, proposed=True), DOOR), write(replace(PASSED, warnings=("Few forms.",)))

    assert "[Open the report](https://door.test/v1/runs/1/report)" in write(PASSED, DOOR)
    assert "`samples/run=1/__run__/report.html`" in write(PASSED)
    assert "once you have read the warnings below:" in warned
    assert "[Review the samples](https://door.test/v1/runs/1/review)" in proposed
    assert "exemplars review 1 --attach\nexemplars review 1 --reject" in proposed
    assert "read_parquet" not in proposed


def test_rejected_run_names_the_command_that_goes_on_or_asks_anew_where_nothing_can_be_used() -> None:
    unreadable = [make_exemplar(None, reason="unreadable", index=index) for index in range(MIN_HOPELESS)]

    assert "```sh\nexemplars synthesize u22a8.test --" in write(FAILED)
    assert "```sh\nexemplars cache clear u22a8.test\nexemplars synthesize u22a8.test --" in write(
        FAILED, None, *unreadable
    )


def test_command_is_one_that_there_is() -> None:
    words = format_command(make_test_plan().model, "enrich", "max").split()
    root: Any = typer.main.get_command(app)
    given = root.commands[words[1]].make_context("exemplars", words[2:]).params

    assert "exemplars" == words[0]
    assert ["u22a8.test", "enrich", "max"] == [given[name] for name in ("handle", "synth_type", "effort")]
