"""``exemplars catalogue`` says what needs a person and what to type, in one table."""

from fakes.commands import Command
from fakes.stored import POLE_TEXTS, attach_poles
from fakes.workspace import HANDLE, Workspace

from flows.catalogue.commands import FILL


def test_fresh_catalogue_needs_nobody_and_is_filled_with_one_command(entered: Workspace, run_command: Command) -> None:
    code, said, _ = run_command("catalogue")

    assert 0 == code
    assert f"1 model has no samples yet\n    {FILL}\n" in said
    assert "No model needs a person. 0 synthesized samples in 0 attached sets, 6 authored." in said


def test_broken_model_is_a_row_with_its_mistakes_and_what_to_type(entered: Workspace, run_command: Command) -> None:
    (entered.model / "model.yaml").write_text("traits: [{type: spectrum}]")
    attach_poles(entered.samples, POLE_TEXTS, "u22a8.other")
    code, said, _ = run_command("catalogue")
    found = run_command("catalogue", "--json").facts

    assert 0 == code
    assert f"{HANDLE}: cannot be read: {HANDLE}/model.yaml" in said
    assert f"\n    exemplars plan {HANDLE}\n" in said
    assert "u22a8.other: cannot be read: The store has sets of a model" in said
    assert ({HANDLE, "u22a8.other"}, 2) == ({model["handle"] for model in found["models"]}, found["need_person"])


def test_catalogue_that_cannot_be_listed_ends_with_three(entered: Workspace, run_command: Command) -> None:
    models = entered.folder / "models"
    models.rename(entered.folder / "moved")
    models.write_text("no folder")

    assert 3 == run_command("catalogue").code
