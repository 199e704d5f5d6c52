"""``exemplars catalogue`` says what needs a person and what to type, and writes a page; bad places cost no survey."""

from collections.abc import Iterator

import pytest
from fakes.commands import Command
from fakes.stored import POLE_TEXTS, attach_poles
from fakes.workspace import HANDLE, Workspace
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cli.runs.catalogue import FILL


@pytest.fixture(autouse=True)
def _no_server() -> Iterator[None]:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield


def test_fresh_catalogue_needs_nobody_and_is_filled_with_one_command(entered: Workspace, run_command: Command) -> None:
    code, said, notes = run_command("catalogue")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        away = run_command("catalogue")

    assert (0, 0) == (code, away.code)
    assert f"1 model has no samples yet\n    {FILL}\n" in said
    assert "No model needs a person. 0 synthesized samples in 0 attached sets, 6 authored." in said
    assert str(entered.folder / "cache" / "catalogue.html") in said.replace("\n", "")
    assert "No Prefect server is configured (PREFECT_API_URL)" in notes
    assert "Prefect's server at http://127.0.0.1:1/api does not answer" in away.err


def test_broken_model_is_a_row_with_its_mistakes_and_what_to_type(entered: Workspace, run_command: Command) -> None:
    (entered.model / "model.yaml").write_text("traits: [{type: spectrum}]")
    attach_poles(entered.samples, POLE_TEXTS, "u22a8.other")
    page = entered.folder / "new" / "page.html"
    code, said, _ = run_command("catalogue", "--to", str(page))
    found = run_command("catalogue", "--json").facts

    assert 0 == code
    assert f"{HANDLE}\n  cannot be read: {HANDLE}/model.yaml" in said
    assert f"\n    exemplars plan {HANDLE}\n" in said
    assert "\nu22a8.other\n  samples without a model: " in said
    assert "<title>The catalogue: 2 of 2 models need a person" in page.read_text()
    assert ({HANDLE, "u22a8.other"}, 2) == ({model["handle"] for model in found["models"]}, found["need_person"])


def test_what_cannot_be_written_is_bad_input_and_what_cannot_be_listed_ends_with_three(
    entered: Workspace, run_command: Command
) -> None:
    models = entered.folder / "models"
    refused = [run_command("catalogue", "--to", str(to)) for to in (models, entered.folder / "effort.yaml/page.html")]
    models.rename(entered.folder / "moved")
    models.write_text("no folder")

    assert [(2, True)] * 2 == [(said.code, said.message.startswith("exemplars: --to ")) for said in refused]
    assert 3 == run_command("catalogue").code
