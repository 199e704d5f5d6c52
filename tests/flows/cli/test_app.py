"""The command: every bad input is one message and an exit code, results go to stdout, nothing else is heard."""

import re
import shlex
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.commands import Command
from fakes.provider import Behaviour, Provider
from fakes.workspace import HANDLE, ROOT, Workspace, make_workspace
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.main import get_group

from flows.cli.app import app
from flows.cli.options import GROUPS

LOW = ("synthesize", HANDLE, "--effort", "low")

Spoil = Callable[[Workspace], object]


def keep(_: Workspace) -> None:
    """Spoils nothing."""


def remove(name: str) -> Spoil:
    return lambda workspace: (workspace.folder / name).unlink()


def set_variable(name: str, value: str) -> Spoil:
    """Sets a variable; ``{folder}`` stands for the workspace's folder."""
    return lambda workspace: workspace.variables.update({name: value.format(folder=workspace.folder)})


PLAN = ("plan", *LOW[1:])
NO_FILE = set_variable("EXEMPLARS_SYNTH_MODEL", "embedded/nowhere.gguf")
UNKNOWN_PLACE = set_variable("EXEMPLARS_SAMPLES_URI", "ftp://example.org/samples")
BELOW_FILE = set_variable("EXEMPLARS_SAMPLES_URI", "{folder}/effort.yaml/samples")

# What is spoiled, the arguments, the exit code, and what the message has to say.
BAD_INPUTS: dict[str, tuple[Spoil, tuple[str, ...], int, str]] = {
    "no handle": (keep, ("synthesize",), 2, "Missing argument 'handle'. 'exemplars --help' shows the commands"),
    "malformed handle": (keep, ("synthesize", "../x"), 2, "'../x' is not a handle. A handle is <namespace>.<name>"),
    "unknown handle": (keep, ("synthesize", "u22a8.tolshed"), 2, "No model 'u22a8.tolshed' in {folder}/models"),
    "unknown synth type": (keep, (*LOW, "--synth-type", "from_trait"), 2, "'from_trait' is not a synth type."),
    "unknown effort": (keep, (*LOW[:3], "lo"), 2, "'lo' is not an effort. The efforts are: low, medium"),
    "number as effort": (keep, (*LOW[:3], "40"), 2, "max. For 40 samples a pole say --per-pole 40"),
    "no samples a pole": (
        keep,
        (*LOW, "--per-pole", "0"),
        2,
        "0 samples a pole cannot be made. Ask for 1 to 1,000,000",
    ),
    "effort that the dial has not": (keep, (*LOW[:3], "max"), 2, "levels: found no 'max'"),
    "no model.yaml": (remove(f"models/{HANDLE}/model.yaml"), LOW, 2, "Its folder exists, but has no model.yaml"),
    "setting out of range": (set_variable("EXEMPLARS_CONCURRENCY", "0"), LOW, 2, "EXEMPLARS_CONCURRENCY: found '0'"),
    "no file of the embedded model": (NO_FILE, LOW, 3, "nowhere.gguf cannot be read (No such file or directory). Give"),
    "samples below a file": (BELOW_FILE, LOW, 3, "{folder}/effort.yaml/samples cannot be used: Not a directory. Free"),
    "samples in an unknown place": (UNKNOWN_PLACE, LOW, 3, "ftp://example.org/samples cannot be opened"),
    # What would fail a run before its first call fails the dry run.
    "dry run by no model": (NO_FILE, PLAN, 3, "nowhere.gguf cannot be read"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_one_message_and_nothing_is_written(
    tmp_path: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    spoil, arguments, code, said = BAD_INPUTS[name]
    workspace = make_workspace(tmp_path)
    spoil(workspace)
    workspace.enter(monkeypatch)
    before = sorted(tmp_path.rglob("*"))
    ended = run_command(*arguments)

    assert said.replace("{folder}", str(tmp_path)) in ended.message
    assert (code, before) == (ended.code, sorted(tmp_path.rglob("*")))


def test_version_is_that_of_the_package(run_command: Command) -> None:
    assert (0, f"exemplars {version('exemplars')}\n", "") == run_command("--version")


def test_help_has_groups_in_order_efforts_as_the_dial_has_them_and_an_example_to_type(run_command: Command) -> None:
    root: Any = get_group(app)
    commands = {name: command for name, command in root.commands.items() if name not in ("batches", "models")}
    for group in ("batches", "models"):
        commands |= {f"{group} {name}": command for name, command in root.commands[group].commands.items()}
    dial = yaml.safe_load((ROOT / "data/effort.yaml").read_text())["levels"]
    counts = ", ".join(f"{effort} {level['exemplars_per_pole']}" for effort, level in dial.items())
    shown = run_command("--help").text

    assert sorted(GROUPS, key=shown.index) == list(GROUPS)
    assert f"How many samples a pole: {counts}." in run_command("synthesize", "--help").text.replace("│ │ ", "")
    for name, command in commands.items():
        begin, _, typed = (command.epilog or "").partition(f" exemplars {name}")
        assert "Example:" == begin, name
        # It parses: nothing is missing, and nothing unknown.
        command.make_context(name, shlex.split(typed))


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_run_that_fails_is_one_message_and_attaches_nothing(
    entered: Workspace, provider: Provider, run_command: Command
) -> None:
    provider.behaviour = Behaviour(status=401)
    refused = run_command(*LOW)
    left = entered.list_files()
    provider.behaviour = Behaviour(style="german")
    entered.write_effort(exemplars_per_pole=2, top_up_rounds=1)
    lacking = run_command(*LOW)
    [folder] = entered.list_sets()

    assert (3, 1) == (refused.code, lacking.code)
    assert "refuses the key: Incorrect API key provided: sk-…test. Set EXEMPLARS_SYNTH_API_KEY" in refused.message
    assert "clarity, positive: 0 of 2 for 'Clear', 2 lacking after 1 round. 4 rejected: " in lacking.message
    assert lacking.message.endswith(f"The rejected rows and the report are kept: {folder}/__run__/report.html\n")
    assert [] == left
    assert [] == list(folder.glob("*.parquet"))


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_first_look_shows_texts_and_leaves_a_page_alone(
    entered: Workspace, provider: Provider, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the command sets for itself.
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(entered.samples))
    code, said, _ = run_command("try", HANDLE)
    page = entered.folder / "cache" / "tries" / f"{HANDLE}.html"
    first = page.read_text()
    provider.behaviour = Behaviour(style="german")
    entered.write_effort(exemplars_per_pole=2, temperature=0.5)
    monkeypatch.setenv("EXEMPLARS_EFFORT_FILE", str(entered.folder / "effort.yaml"))
    rejected = run_command("try", HANDLE, "--per-pole", "1")

    assert (0, 0, []) == (code, rejected.code, entered.list_sets())
    for told in (said, rejected.out):
        assert "Clear" in told
        assert "Nothing is attached." in " ".join(told.split())
        assert f"report   {page}\n" in told
    # One text a pole is asked for, and shown with what is wrong with it.
    assert "A first look: 0 of 4 texts passed the rules." in rejected.text
    assert re.search(r"\d × wrong language: It is not in the model's language", rejected.text)
    assert "[wrong language]" in rejected.text
    assert first.startswith("<!doctype html>")
    assert '"removable":""' in first
    assert "A first look: 12 of 12 texts passed the rules" in first
    for other in ("Nothing attached", "lacking after", "The gate"):
        assert other not in page.read_text()
    assert first != page.read_text()


def test_server_that_does_not_answer_ends_a_command_before_its_run(entered: Workspace, run_command: Command) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        ended = run_command(*LOW)

    assert "The Prefect server at http://127.0.0.1:1/api does not answer" in ended.message
    assert (3, []) == (ended.code, entered.list_files())
