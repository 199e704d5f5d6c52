"""The command that exports: what it prints for people and for programs, and the codes that it ends with."""

import json
from pathlib import Path

import pytest
from fakes.stored import HANDLE, attach_set, write_model
from fakes.workspace import mount_disk

from flows.cli.app import main


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


def test_person_is_told_what_was_exported_and_how_it_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["export", HANDLE, "--to", "synthesized.jsonl", "--format", "platform"])
    assert [
        "Exported from u22a8.test: 4 samples of 2 runs, pool train: synthesized.jsonl",
        "Left out: 2 samples of traits that the model no longer has.",
        "Put it into a model's folder, and this into its model.yaml:",
        "",
        "sources:",
        "- type: jsonl",
        "  path: synthesized.jsonl",
        "  mapping:",
        "    clarity:",
        "      trait: clarity",
        "    safety:",
        "      trait: safety",
    ] == capsys.readouterr().out.splitlines()


def test_program_is_told_the_same_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["export", HANDLE, "--to", "a.csv", "--format", "csv", "--run", "one", "--json"])
    assert {
        "handle": HANDLE,
        "format": "csv",
        "to": "a.csv",
        "pools": ["train"],
        "runs": 1,
        "samples": 4,
        "left_out": 0,
        "source": None,
    } == json.loads(capsys.readouterr().out)


def test_what_is_wrong_ends_with_two_and_a_place_that_cannot_be_written_with_three(
    catalogue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == main(["export", HANDLE, "--to", "a", "--format", "xlsx"])
    assert "exemplars: 'xlsx' is no format" in capsys.readouterr().err
    assert 2 == main(["export", HANDLE, "--to", "a" * 256, "--format", "csv"])
    assert "is no place for an export: File name too long. Give another --to" in capsys.readouterr().err
    with mount_disk(catalogue / "disk", "ro") as disk:
        assert 3 == main(["export", HANDLE, "--to", f"{disk}/a", "--format", "hub"])
    assert "disk/a cannot be written: Read-only file system. Free space" in capsys.readouterr().err
    (catalogue / "disk").rmdir()
    assert ["models", "samples"] == sorted(path.name for path in catalogue.iterdir())
