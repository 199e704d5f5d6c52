"""The dry run: it tells what a run would do, asks nothing, starts nothing, writes nothing, and costs no waiting."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.provider import serve_provider
from fakes.workspace import HANDLE, ROOT, Workspace, make_workspace

from flows.cli.app import main

LOW = (HANDLE, "--effort", "low")
HOSTED = {"EXEMPLARS_SYNTH_MODEL": "openai/gpt-4.1-mini"}
# Ends the process at the first attempt to write, to connect or to start another process, with a code of its own.
# The language identifier unpacks itself into a temporary file without a name: TMPDIR may be used, and is left empty.
GUARD = """
import os, sys
def refuse(event, given):
    writes = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if not writes and event not in (
        "socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.posix_spawn", "os.fork",
        "os.exec", "os.system", "os.mkdir", "os.remove", "os.rename", "shutil.rmtree", "sqlite3.connect",
    ):
        return
    if not str(given[0]).startswith((os.devnull, os.environ["TMPDIR"])):
        os.write(2, f"refused: {event} {given}".encode())
        os._exit(99)
sys.addaudithook(refuse)
from flows.cli.app import main
code = main(sys.argv[1:])
found = {"prefect", "litellm", "great_expectations", "xllamacpp"} & set(sys.modules)
sys.exit(code or (f"imported: {found}" if found else 0))
"""

Dry = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Dry]:
    """The command ``plan`` in this process: its exit code, and what it printed to stdout and stderr."""
    terminate = signal.getsignal(signal.SIGTERM)

    def call(workspace: Workspace, *arguments: str) -> tuple[int, str, str]:
        workspace.enter(monkeypatch)
        monkeypatch.setenv("COLUMNS", "80")
        code = main(("plan", *arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    yield call
    signal.signal(signal.SIGTERM, terminate)


def read_json(dry: Dry, workspace: Workspace, *arguments: str) -> dict[str, Any]:
    code, out, err = dry(workspace, *arguments, "--json")
    assert (0, "", 1) == (code, err, out.count("\n"))
    found: dict[str, Any] = json.loads(out)
    return found


def unfold(text: str) -> str:
    """What was printed, without the places where lines were folded."""
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("variables", [{}, HOSTED])
def test_nothing_is_asked_started_written_or_imported(tmp_path: Path, variables: dict[str, str]) -> None:
    workspace = make_workspace(tmp_path, None, **variables)
    (tmp_path / "scratch").mkdir()
    before = sorted(tmp_path.rglob("*"))
    ours = {name: text for name, text in os.environ.items() if not name.startswith(("EXEMPLARS_", "COV"))}
    ended = subprocess.run(
        [sys.executable, "-c", GUARD, "plan", *LOW],
        cwd=ROOT,
        env={**ours, **workspace.variables, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(tmp_path / "scratch")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "no model is called and nothing is written" in ended.stdout
    assert before == sorted(tmp_path.rglob("*"))


def test_provider_is_not_called(tmp_path: Path, dry: Dry) -> None:
    with serve_provider() as provider:
        code, _, _ = dry(make_workspace(tmp_path, provider), *LOW)

        assert (0, 0) == (code, provider.calls.total())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("u22a8.tolshed",), "No model 'u22a8.tolshed' in"),
        (("../x",), "'../x' is not a handle"),
        ((HANDLE, "--effort", "lo"), "'lo' is not an effort"),
        ((HANDLE, "--effort", "max"), "levels: found no 'max'"),
        ((HANDLE, "--synth-type", "from_trait"), "'from_trait' is not a synth type"),
        ((*LOW, "--prompts", "-1"), "Invalid value for '--prompts'"),
        ((), "Missing argument 'handle'"),
    ],
)
def test_bad_input_is_one_message(tmp_path: Path, dry: Dry, arguments: tuple[str, ...], said: str) -> None:
    workspace = make_workspace(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = dry(workspace, *arguments)

    assert (2, "", 1) == (code, out, err.count("exemplars: "))
    assert said in err
    assert before == sorted(tmp_path.rglob("*"))


def test_model_without_traits_has_no_plan(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path)
    (workspace.model / "model.yaml").write_text("traits: discover")
    code, out, err = dry(workspace, *LOW)

    assert (2, "") == (code, out)
    assert "traits is 'discover', so there are no trait" in err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("EXEMPLARS_SYNTH_MODEL", "embedded/nowhere.gguf", "nowhere.gguf cannot be read"),
        (
            "EXEMPLARS_SAMPLES_URI",
            "{folder}/effort.yaml/samples",
            "effort.yaml/samples cannot be used: Not a directory",
        ),
        ("EXEMPLARS_SAMPLES_URI", "ftp://example.org/samples", "ftp://example.org/samples cannot be opened"),
    ],
)
def test_what_would_fail_a_run_before_its_first_call_fails_the_dry_run(
    tmp_path: Path, dry: Dry, name: str, value: str, said: str
) -> None:
    code, out, err = dry(make_workspace(tmp_path, None, **{name: value.format(folder=tmp_path)}), *LOW)

    assert (3, "") == (code, out)
    assert said in err


def test_json_has_the_numbers_of_a_small_plan(tmp_path: Path, dry: Dry) -> None:
    found = read_json(dry, make_workspace(tmp_path, None, **HOSTED), *LOW)

    # Quota 4, two candidates an exemplar, 4 top-up rounds, two traits, one call for subjects:
    # 1 + 4 × 8; 1 + 4 × (8 + 1 × 2 × 2); 1 + 4 × 8 × (1 + 2 + 3 + 4 + 5).
    assert [33, 49, 481] == [found["total"][outlook]["calls"] for outlook in ("low", "likely", "high")]
    assert found["total"]["low"] == {
        field: pytest.approx(sum(kind["low"][field] for kind in found["calls"])) for field in found["total"]["low"]
    }
    amount = found["total"]["likely"]
    # $0.40 and $1.60 for a million.
    assert amount["cost_usd"] == pytest.approx(amount["tokens_in"] * 4e-7 + amount["tokens_out"] * 1.6e-6)
    assert {
        "input_usd": 4e-7,
        "output_usd": 1.6e-6,
        "cached_input_usd": 1e-7,
        "written_input_usd": None,
    } == found["price"]
    assert 1.0 == found["max_cost_usd"]


def test_json_names_the_plan(tmp_path: Path, dry: Dry) -> None:
    found = read_json(dry, make_workspace(tmp_path, None, **HOSTED), *LOW)

    assert (HANDLE, "from_traits", "low", "openai/gpt-4.1-mini") == tuple(
        found[name] for name in ("handle", "synth_type", "effort", "synth_model")
    )
    assert 32 == len(found["plan_id"])
    assert 12 == len(found["prompts_version"])
    assert {
        "trait": "clarity",
        "type": "spectrum",
        "pole": "negative",
        "label": "Obscure",
        "wanted": 4,
        "cells": 8,
    } == (found["quotas"][1])
    assert {"clarity": 3, "safety": 3} == {
        trait: [scenario["trait"] for scenario in found["scenarios"]].count(trait) for trait in ("clarity", "safety")
    }
    assert {"everyday", "lists", "openai/gpt-4.1-mini"} >= {
        found["subjects"][name] for name in ("shown_from", "proposed_by")
    }
    assert ["forms", "audiences", "lengths", "subjects"] == list(found["scenario_lists"])
    assert all(part["values"] and part["why"] for part in found["scenario_lists"].values())


def test_plan_says_which_scenarios_were_chosen_and_why(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path)
    definition = workspace.model / "model.yaml"
    definition.write_text(f"{definition.read_text()}\nscenarios: {{forms: [a product review]}}\n")
    printed = unfold(dry(workspace, *LOW)[1])

    assert "note Scenarios: forms (“a product review”) given in model.yaml; " in printed
    assert "forms a product review given in model.yaml" in printed
    assert "The synth model is shown the subjects, not the forms, audiences and lengths." in printed


def test_plan_of_an_author_who_gives_all_asks_for_no_subjects(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path, None, **HOSTED)
    definition = workspace.model / "model.yaml"
    before = read_json(dry, workspace, *LOW)
    definition.write_text(f"{definition.read_text()}\nscenarios: documentation\n")
    after = read_json(dry, workspace, *LOW)

    assert (1, 0) == tuple(
        [prompt["kind"] for prompt in found["prompts"]].count("subjects") for found in (before, after)
    )
    assert 1 == before["total"]["low"]["calls"] - after["total"]["low"]["calls"]
    assert ("documentation", None) == (after["subjects"]["pack"], after["subjects"]["proposed_by"])


def test_same_inputs_print_the_same(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path)

    assert dry(workspace, *LOW) == dry(workspace, *LOW)


@pytest.mark.parametrize("shown", [0, 1, 3])
def test_as_many_prompts_of_each_kind_are_shown_as_are_asked_for(tmp_path: Path, dry: Dry, shown: int) -> None:
    found = read_json(dry, make_workspace(tmp_path, None, **HOSTED), *LOW, "--prompts", str(shown))
    kinds = [prompt["kind"] for prompt in found["prompts"]]

    assert min(shown, 1) == kinds.count("subjects")
    assert 4 * [shown] == [kinds.count(kind["kind"]) for kind in found["calls"] if kind["kind"] != "subjects"]


def test_prompts_of_a_chat_model_are_shown_in_full(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path, None, **HOSTED)
    prompts = read_json(dry, workspace, *LOW)["prompts"]
    printed = unfold(dry(workspace, *LOW)[1])

    assert 1 + 2 * 4 == len(prompts)
    assert [] == [prompt["title"] for prompt in prompts if unfold(prompt["user"]) not in printed]
    assert [] == [prompt["title"] for prompt in prompts if unfold(prompt["system"]) not in printed]
    assert "Come close to the topic" in printed
    assert "safety/00000/negative/0, near miss, to openai/gpt-4.1-mini" in printed


def test_subjects_of_a_hosted_model_are_said_to_be_from_the_lists(tmp_path: Path, dry: Dry) -> None:
    printed = unfold(dry(make_workspace(tmp_path, None, **HOSTED), *LOW)[1])

    assert "A run first asks openai/gpt-4.1-mini for subjects" in printed
    assert "the subjects below are from the lists" in printed
    assert "List price of openai/gpt-4.1-mini: $0.40 in and $1.60 out for a million tokens." in printed


def test_embedded_model_costs_nothing_and_shows_its_documents_and_its_judge(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path)
    printed, found = unfold(dry(workspace, *LOW)[1]), read_json(dry, workspace, *LOW)

    assert re.search(r"embedded/\S+ costs nothing\.", printed)
    assert "passes its limit" not in printed
    assert "Prompt: judge: clarity" in printed
    assert "An authored text stands in for the exemplar." in printed
    assert "as in a run" in printed
    assert None is found["subjects"]["proposed_by"]
    assert [0.0, 0.0, 0.0] == [found["total"][outlook]["cost_usd"] for outlook in ("low", "likely", "high")]
    # Two draws of each scenario; the quota of both poles of the one trait that has seeds, and its six seeds themselves.
    assert 4 * 16 + 8 + 6 == found["total"]["low"]["calls"]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, True),
        ({"EXEMPLARS_SYNTH_MODEL": "embedded/smollm2-135m"}, False),
        ({"EXEMPLARS_SYNTH_MODEL": "openai/gpt-4.1-mini"}, False),
    ],
)
def test_better_model_that_the_effort_would_take_is_named(
    tmp_path: Path, dry: Dry, variables: dict[str, str], told: bool
) -> None:
    workspace = make_workspace(tmp_path)
    workspace.variables.update(variables)
    workspace.write_effort(synth_model="large")
    dial = json.loads((tmp_path / "effort.yaml").read_text())
    dial["models"]["large"] = ["embedded/qwen2.5-coder-1.5b", "embedded"]
    (tmp_path / "effort.yaml").write_text(json.dumps(dial))
    _, said, _ = dry(workspace, *LOW)

    assert told == ("'exemplars models get qwen2.5-coder-1.5b'" in unfold(said))


def test_cost_of_a_model_without_a_list_price_is_not_known(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path, EXEMPLARS_SYNTH_MODEL="openai/my-model")
    printed, found = unfold(dry(workspace, *LOW)[1]), read_json(dry, workspace, *LOW)

    assert "No price is known for openai/my-model: its cost is not counted." in printed
    assert "A run would be refused now. The limit of $1 on the cost of a run" in printed
    assert "openai/my-model: correct its name, or set EXEMPLARS_SYNTH_PRICE=<in>/<out>" in printed
    assert "$0.00" not in printed
    assert ["openai/my-model"] == found["unpriced"]
    assert "openai/my-model: correct its name" in found["refused"]
    assert [None, None, None] == [found["total"][outlook]["cost_usd"] for outlook in ("low", "likely", "high")]
    assert None is found["price"]


def test_price_of_a_server_of_ones_own_counts(tmp_path: Path, dry: Dry) -> None:
    own = {"EXEMPLARS_SYNTH_MODEL": "openai/my-model", "EXEMPLARS_SYNTH_PRICE": "0.40/1.60"}
    listed = read_json(dry, make_workspace(tmp_path / "listed", None, **HOSTED), *LOW)
    found = read_json(dry, make_workspace(tmp_path / "own", None, **own), *LOW)

    assert listed["total"]["high"]["cost_usd"] == pytest.approx(found["total"]["high"]["cost_usd"])
    assert [[], None] == [found["unpriced"], found["refused"]]
    assert " Price of openai/my-model: $0.40 in" in unfold(dry(make_workspace(tmp_path / "said", None, **own), *LOW)[1])


def test_judge_without_a_price_is_named_beside_the_cost_of_the_rest(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path, None, **HOSTED, EXEMPLARS_JUDGE_MODEL="openai/judge")
    workspace.write_effort(judge_votes=1, max_cost_usd=None)
    printed, found = unfold(dry(workspace, *LOW)[1]), read_json(dry, workspace, *LOW)

    assert "No price is known for openai/judge: its cost is not counted." in printed
    assert "would be refused" not in printed
    assert found["total"]["likely"]["cost_usd"] > 0
    assert ["openai/judge"] == found["unpriced"]


def test_limit_that_is_too_low_for_one_call_is_told(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path, None, **HOSTED, EXEMPLARS_MAX_COST_USD="0.0001")
    printed, found = unfold(dry(workspace, *LOW)[1]), read_json(dry, workspace, *LOW)

    assert "The limit of $0.00010 is too low for a single call, which may cost $0.00" in printed
    assert found["dearest_call_usd"] > 0.0001


def test_thoughts_are_counted_in_high_and_it_says_so(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path, EXEMPLARS_SYNTH_MODEL="openai/gpt-5-mini")
    workspace.write_effort(thinking="low")
    printed, found = unfold(dry(workspace, *LOW)[1]), read_json(dry, workspace, *LOW)

    assert "What openai/gpt-5-mini may think before an answer is billed like the answer: high counts all" in printed
    # 480 calls for exemplars with room for 4,096 tokens of thoughts.
    assert found["total"]["high"]["tokens_out"] > 480 * 4096 > 10 * found["total"]["likely"]["tokens_out"]


def test_synthesize_with_the_flag_prints_the_same(tmp_path: Path, dry: Dry, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = make_workspace(tmp_path, None, **HOSTED)
    _, printed, _ = dry(workspace, *LOW)
    _, line, _ = dry(workspace, *LOW, "--json")
    for arguments, expected in (((), printed), (("--json",), line)):
        assert 0 == main(("synthesize", *LOW, "--dry-run", *arguments))
        assert expected == capsys.readouterr().out


def test_long_name_and_brackets_are_printed_as_they_are(tmp_path: Path, dry: Dry) -> None:
    name = f"openai/[bold]:x:{'long-' * 30}"
    printed = dry(make_workspace(tmp_path, EXEMPLARS_SYNTH_MODEL=name), *LOW)[1]

    assert 4 <= re.sub(r"\s+", "", printed).count(name)


def test_skipped_sources_are_told(tmp_path: Path, dry: Dry) -> None:
    workspace = make_workspace(tmp_path)
    definition = workspace.model / "model.yaml"
    source = "sources:\n  - {type: url, url: 'https://example.org/a.txt'}"
    definition.write_text(definition.read_text().replace("sources:", source))

    assert "not read here" in unfold(dry(workspace, *LOW)[1])


@pytest.mark.parametrize("variables", [{}, HOSTED])
def test_no_line_is_wider_than_80_columns(tmp_path: Path, dry: Dry, variables: dict[str, str]) -> None:
    _, out, _ = dry(make_workspace(tmp_path, None, **variables), *LOW)

    assert [] == [line for line in out.splitlines() if len(line) > 80]
