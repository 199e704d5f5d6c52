"""The command that exports: what it prints for people and for programs, and the codes that it ends with."""

from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.stored import HANDLE, attach_set, write_model
from fakes.workspace import mount_disk


@pytest.fixture(autouse=True)
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with four samples that are attached and two of a trait that it no longer has; the working folder."""
    write_model(tmp_path / "models")
    attach_set(tmp_path / "samples", "one")
    attach_set(tmp_path / "samples", "older", 2, ("tone",))
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    monkeypatch.setenv("EXEMPLARS_SAMPLES_URI", str(tmp_path / "samples"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_was_exported_is_told_and_how_it_is_read(run_command: Command) -> None:
    told = run_command("export", HANDLE, "--to", "synthesized.jsonl", "--format", "platform")
    facts = run_command("export", HANDLE, "--to", "a.csv", "--format", "csv", "--run", "one", "--json").facts

    assert [
        "Exported from u22a8.test: 4 samples of 2 runs, pool train: synthesized.jsonl",
        "Left out: 2 samples of traits that the model no longer has.",
        "Put it into a model's folder, and this into its model.yaml:",
        "",
        "sources:",
        "- type: jsonl",
        "  path: synthesized.jsonl",
    ] == told.out.splitlines()[:7]
    assert (HANDLE, "csv", "a.csv", ["train"]) == tuple(facts[name] for name in ("handle", "format", "to", "pools"))
    assert (1, 4, 0, None) == tuple(facts[name] for name in ("runs", "samples", "left_out", "source"))


def test_what_is_wrong_ends_with_two_and_a_place_that_cannot_be_written_with_three(
    catalogue: Path, run_command: Command
) -> None:
    unknown = run_command("export", HANDLE, "--to", "a", "--format", "xlsx")
    with mount_disk(catalogue / "disk", "ro") as disk:
        closed = run_command("export", HANDLE, "--to", f"{disk}/a", "--format", "hub")

    assert (2, True) == (unknown.code, "'xlsx' is no format" in unknown.message)
    assert (3, True) == (closed.code, "disk/a cannot be written: Read-only file system. Free space" in closed.message)
