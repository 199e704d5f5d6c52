"""The run page: what it says first, what it says of money, what to type next, and a server that is away."""

import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from fakes import builders
from fakes.builders import make_budget, make_exemplar, make_level, make_pair, make_test_plan
from fakes.client import CHAT, PLAIN
from fakes.stored import attach_set
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings

from engine.asking.plan import MIN_HOPELESS
from engine.choosing.run_state import RunState
from engine.domain.finding import Finding
from engine.domain.samples import Exemplar
from engine.domain.verdict import Verdict
from engine.estimate.call_kinds import list_calls
from engine.estimate.estimate import estimate_calls
from engine.llm.client.prices import FREE, Price
from engine.llm.client.request import Endpoint
from engine.llm.gateway.budget import RunBudget
from engine.report.run_page import escape, format_command, write_error, write_next_steps, write_page, write_reading
from engine.store.store import StoredSet
from flows.cli.app import app
from flows.run.outcome import report

PASSED = Verdict((), (), {})
TWICE = Finding("expect_column_values_to_be_unique", "critical", "Expected that no text occurs twice: 1 of them")
FAILED = Verdict((TWICE, Finding("expect_a", "critical", "Another")), (), {})
PRICED = replace(CHAT, price=Price(4e-7, 1.6e-6))
NOT_KNOWN = make_budget()
STORED = StoredSet("samples/run=11111111-1111-1111-1111-111111111111", {})


def make_state(wanted: int = 1) -> RunState:
    """One exemplar at each pole, for ten cents each."""
    plan = make_test_plan(level=make_level(wanted))
    return builders.make_state(plan, *(replace(exemplar, cost_usd=0.1) for exemplar in make_pair()))


def write(
    verdict: Verdict = PASSED, wanted: int = 1, endpoint: Endpoint = PRICED, budget: RunBudget = NOT_KNOWN
) -> str:
    state = make_state(wanted)
    return write_page(state, verdict, STORED, estimate_calls(list_calls(state.plan, endpoint), 1.0), budget, None)


def test_passed_gate_is_told_first_then_the_files_the_counts_and_some_samples() -> None:
    page = write()
    parts = (
        "# u22a8.test: 2 attached\n\n**1 for each pole of 1 trait; 0 rejected. Not checked, because there are too "
        "few texts (1 a pole): how well the poles are separated, diversity, word order, likeness to the seeds.**",
        f'pd.read_parquet("{STORED.folder}/samples.parquet")',
        "- **Clarity, Clear**: 1 of 1\n  - Text 0 is positive.",
        "## Cost: ",
    )
    places = [page.index(said) for said in parts]

    assert sorted(places) == places
    assert "](http" not in page


def test_command_of_a_warning_is_code_that_can_be_copied() -> None:
    warning = Finding("wrong_side", "warning", "1 sample *reads* wrong", "Remove it", "exemplars remove a.b 1")

    assert "1 sample \\*reads\\* wrong. Remove it: `exemplars remove a.b 1`" in write(Verdict((warning,), (), {}))


def test_what_failed_is_told_first_with_what_to_do_and_then_pole_by_pole() -> None:
    missing = Finding("missing_exemplars", "critical", "1 of 3", trait="clarity", pole="positive")
    inseparable = Finding("inseparable", "critical", "no measure", trait="safety")
    repeated = Finding("expect_pole_counts_to_equal", "critical", "Expected that", suite="run")
    lacking = write(replace(FAILED, findings=(missing, repeated, inseparable)), wanted=3)
    found = write(FAILED)

    assert lacking.startswith("# u22a8.test: nothing attached\n\n**4 of 6 exemplars are lacking after 0 rounds, ")
    assert "\n- clarity, positive: 1 of 3.\n- safety: no measure." in lacking
    assert "Expected that" not in lacking
    assert "Text 0 is positive." not in lacking
    assert "**Expected that no text occurs twice: 1 of them (and 1 more finding)" in found


def test_error_is_told_first_with_its_details_below_and_markup_as_it_is_written() -> None:
    page = write_error("u22a8.test", "model.yaml: 2 mistakes.\n  line 3: *no*\n  line 4: none")

    assert page.startswith("# u22a8.test: nothing attached\n\n**model.yaml: 2 mistakes.**\n\n")
    assert page.endswith("\n- line 3: \\*no\\*\n- line 4: none")
    assert r"\<img src=x\> \[a\](b) \*c\* too\_short" == escape("<img src=x> [a](b) *c* too_short")
    assert r"\`d\` \| \&lt; \\ \~\~ \#" == escape(r"`d` | &lt; \ ~~ #")
    assert r"\*; `exemplars detach`, a\_b" == escape("*; `exemplars detach`, a_b")
    assert r"\``exemplars x_y`\` \`exemplars \| \`" == escape("``exemplars x_y`` `exemplars | `")


def test_cost_stands_beside_the_estimate() -> None:
    page = write(budget=make_budget(0.22, 1.0, replies=3, prompt_tokens=1200, tokens=240))
    free = write(endpoint=replace(PLAIN, price=FREE), budget=make_budget(0.0, replies=3))

    assert "## Cost: $0.22\n" in page
    assert re.search(r"^Estimate: \d+ calls \(at most .*; \$0\.00", page, re.MULTILINE)
    assert "The run's limit was $1.00." in page
    assert ("## Cost: nothing" in free, "$" in free) == (True, False)


async def test_server_that_is_away_fails_no_run_whose_set_is_in_the_store() -> None:
    state = make_state()
    with socket.socket() as unheard:
        # CostCeiling and not listening: whoever connects is refused, and nobody else gets the port meanwhile.
        unheard.bind(("127.0.0.1", 0))
        away = {PREFECT_API_URL: f"http://127.0.0.1:{unheard.getsockname()[1]}/api"}
        with temporary_settings(away), disable_run_logger():
            await report(state, PASSED, STORED, estimate_calls(list_calls(state.plan, PRICED), 1.0), NOT_KNOWN, None)


HERE = StoredSet("samples/run=1", {})
DOOR = "https://door.test/"


def write_steps(verdict: Verdict, api_url: str | None = None, *made: Exemplar, stored: StoredSet = HERE) -> str:
    state = builders.make_state(make_test_plan(level=make_level(1)), *(made or make_pair()), planned=True)
    return write_next_steps(state, verdict, stored, api_url)


def test_lines_load_the_samples_when_they_are_pasted(tmp_path: Path) -> None:
    place = "s3://bucket/samples?endpoint_override=host:9000&scheme=http/handle=a.b/samples.parquet"
    page = write_steps(PASSED, stored=attach_set(tmp_path / 'a "b" \\ ü', "one", 6))
    found: dict[str, Any] = {}
    exec(compile(page.split("```python\n")[1].split("\n```")[0], "page", "exec"), found)

    assert 6 == len(found["samples"])
    # Arrow's own query is not given to pandas.
    assert 'samples = pd.read_parquet("s3://bucket/samples/handle=a.b/samples.parquet")' == write_reading(place)[1]


def test_samples_are_used_or_reviewed_first() -> None:
    proposed, warned = (
        write_steps(replace(PASSED, proposed=True), DOOR),
        write_steps(replace(PASSED, findings=(Finding("expect_a", "warning", "Few forms"),))),
    )

    assert "[Open the report](https://door.test/v1/runs/1/report)" in write_steps(PASSED, DOOR)
    assert "`samples/run=1/__run__/report.html`" in write_steps(PASSED)
    assert "once you have read the warnings below:" in warned
    assert "[Review the samples](https://door.test/v1/runs/1/review)" in proposed
    assert "exemplars review 1 --attach\nexemplars review 1 --reject" in proposed
    assert "read_parquet" not in proposed


def test_rejected_run_names_the_command_that_goes_on_or_asks_anew_where_nothing_can_be_used() -> None:
    unreadable = [make_exemplar(None, reason="unreadable", index=index) for index in range(MIN_HOPELESS)]

    assert "```sh\nexemplars synthesize u22a8.test --" in write_steps(FAILED)
    assert "```sh\nexemplars prune --replies u22a8.test\nexemplars synthesize u22a8.test --" in write_steps(
        FAILED, None, *unreadable
    )


def test_command_is_one_that_there_is() -> None:
    words = format_command(make_test_plan().model, "enrich", "max").split()
    root: Any = typer.main.get_command(app)
    given = root.commands[words[1]].make_context("exemplars", words[2:]).params

    assert "exemplars" == words[0]
    assert ["u22a8.test", "enrich", "max"] == [given[name] for name in ("handle", "synth_type", "effort")]
