"""``exemplars catalogue`` says what needs a person and what to type, and writes a page; bad places cost no survey."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.stored import POLE_TEXTS, attach_poles, attach_set
from fakes.workspace import HANDLE, Workspace
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cli.runs.catalogue import FILL, SHOWN_MODELS

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(workspace: Workspace, run_command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``exemplars catalogue`` in this process, without a Prefect server."""
    workspace.enter(monkeypatch)

    def call(*arguments: str) -> tuple[int, str, str]:
        with temporary_settings(restore_defaults={PREFECT_API_URL}):
            return run_command("catalogue", *arguments)

    return call


def break_model(workspace: Workspace) -> None:
    (workspace.model / "model.yaml").write_text("traits: [{type: spectrum}]")


def test_fresh_catalogue_needs_nobody_and_is_filled_with_one_command(workspace: Workspace, command: Command) -> None:
    code, said, notes = command()

    assert 0 == code
    assert f"1 model has no samples yet\n    {FILL}\n" in said
    assert "No model needs a person. 0 synthesized samples in 0 attached sets, 6 authored." in said
    assert str(workspace.folder / "cache" / "catalogue.html") in said.replace("\n", "")
    assert "No Prefect server is configured (PREFECT_API_URL)" in notes


def test_broken_model_is_a_row_with_its_mistakes_and_what_to_type(workspace: Workspace, command: Command) -> None:
    break_model(workspace)
    attach_poles(workspace.samples, POLE_TEXTS, "u22a8.other")
    code, said, _ = command("--to", str(workspace.folder / "new" / "page.html"))

    assert 0 == code
    assert f"{HANDLE}\n  cannot be read: {HANDLE}/model.yaml" in said
    assert f"\n    exemplars plan {HANDLE}\n" in said
    assert "\nu22a8.other\n  samples without a model: " in said
    assert "2 of 2 models need a person." in said
    assert "<title>The catalogue: 2 of 2 models need a person" in (workspace.folder / "new" / "page.html").read_text()


def test_json_is_one_line_with_every_model(workspace: Workspace, command: Command) -> None:
    attach_poles(workspace.samples, POLE_TEXTS, HANDLE)
    code, said, notes = command("--json")
    found = json.loads(said)

    assert (0, 1, "") == (code, said.count("\n"), notes)
    [model] = found["models"]
    assert (HANDLE, {"lacking": 1}, 1) == (model["handle"], found["found"], found["need_person"])
    assert {"positive": 5, "negative": 5} == model["traits"][0]["samples"]["synthesized"]
    assert 0.8 < model["traits"][0]["auc"] <= 1
    assert Path(found["page"]).is_file()


def test_more_models_than_anybody_reads_are_counted(workspace: Workspace, command: Command) -> None:
    for number in range(SHOWN_MODELS + 2):
        attach_set(workspace.samples, f"run-{number}", handle=f"u22a8.gone-{number}")

    assert "… and 2 more models on the page" in command()[1]


def test_server_that_is_away_is_noted(workspace: Workspace, run_command: Command, command: Command) -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        code, _, notes = run_command("catalogue")

    assert 0 == code
    assert "Prefect's server at http://127.0.0.1:1/api does not answer" in notes


@pytest.mark.parametrize("to", ["", "models", "effort.yaml/page.html"])
def test_page_that_cannot_be_written_is_bad_input(workspace: Workspace, command: Command, to: str) -> None:
    code, said, refused = command("--to", str(workspace.folder / to))

    assert (2, "") == (code, said)
    assert refused.startswith("exemplars: --to ")


def test_catalogue_that_cannot_be_listed_ends_with_three(workspace: Workspace, command: Command) -> None:
    models = workspace.folder / "models"
    models.rename(workspace.folder / "moved")
    models.write_text("no folder")

    assert 3 == command()[0]
