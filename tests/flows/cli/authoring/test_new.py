"""The command ``new``: four questions at a terminal, an example elsewhere, and one message for whatever is wrong."""

import json
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fakes.site import clear_environment
from fakes.workspace import ROOT

from engine.definitions.loader import load_model

Command = Callable[..., tuple[int, str, str]]
HANDLE = "acme.reviews"
INTERRUPT = b"\x03"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", str(tmp_path / "models"))
    return tmp_path / "models"


def test_model_is_begun_without_a_terminal_and_its_path_printed(models: Path, run_command: Command) -> None:
    code, out, err = run_command("new", HANDLE)

    assert (0, f"{models / HANDLE / 'model.yaml'}\n") == (code, out)
    assert "exemplars validate acme.reviews" in err
    assert ["warmth"] == [trait.key for trait in load_model(str(models), HANDLE).traits]


def test_second_start_overwrites_nothing(models: Path, run_command: Command) -> None:
    run_command("new", HANDLE)
    (models / HANDLE / "model.yaml").write_text("mine")
    code, out, err = run_command("new", HANDLE)

    assert (2, "") == (code, out)
    assert f"exemplars: {models / HANDLE / 'model.yaml'} is there already, and stays as it is." in err
    assert "mine" == (models / HANDLE / "model.yaml").read_text()


def test_object_store_is_refused_with_the_way_to_go(monkeypatch: pytest.MonkeyPatch, run_command: Command) -> None:
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", "s3://bucket/models")
    code, out, err = run_command("new", HANDLE)

    assert (2, "") == (code, out)
    assert "EXEMPLARS_MODELS_URI is s3://bucket/models" in err
    assert "copy that to s3://bucket/models" in err


def test_malformed_handle_is_refused(models: Path, run_command: Command) -> None:
    code, _, err = run_command("new", "Acme Reviews")

    assert 2 == code
    assert "is not a handle" in err
    assert not models.exists()


def type_at_terminal(folder: Path, answers: Sequence[bytes], *arguments: str) -> tuple[int, str]:
    """Starts the command at a terminal of its own; returns its exit code and what the terminal has shown."""
    environment = {**clear_environment(), "EXEMPLARS_MODELS_URI": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        # Whoever runs the tests in the background has it ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        start = "from flows.cli.app import run; run()"
        os.execve(sys.executable, [sys.executable, "-c", start, "new", *arguments], environment)
    shown, waiting = b"", list(answers)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1)
        if ready:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
        elif not waiting and INTERRUPT in answers[-1:]:
            # Python sees one that comes between its prompt and its wait for a key only at the next key.
            os.write(terminal, INTERRUPT)
        if waiting and shown.rstrip(b"\x1b[?2004hl\r\n ").endswith(b">"):
            answer = waiting.pop(0)
            shown += b"|"
            os.write(terminal, answer)
    else:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_four_questions_at_a_terminal_fill_in_the_file(tmp_path: Path) -> None:
    typed = [
        "Antworten an Kundinnen und Kunden",
        "Es geht darum, ob die Antwort freundlich ist",
        "Höflichkeit: Behandelt die Antwort den Menschen als Menschen?",
        "Höflich: dankt und bietet Hilfe an",
        "höflich: droht",
        "Schroff: zählt Regeln auf",
        "Danke für Ihre Geduld!",
        "Gern schicken wir Ersatz.",
        "Das tut uns leid.",
        "Lesen Sie die Regeln.",
        "",
        "Abgelehnt.",
    ]
    code, shown = type_at_terminal(tmp_path, [f"{line}\n".encode() for line in typed], HANDLE)
    [trait] = (model := load_model(str(tmp_path), HANDLE)).traits

    assert 0 == code, shown
    assert "Begin with a word or two that name it" in shown
    assert "'Höflich' is the other end already" in shown
    assert ("hoflichkeit", "Höflich", "Schroff", ("Dankt und bietet Hilfe an.",)) == (
        trait.key,
        trait.positive_label,
        trait.negative_label,
        trait.positive_paraphrase,
    )
    assert (3, 2) == tuple(len(model.seeds_at(trait.key, pole)) for pole in ("positive", "negative"))
    assert ("Antworten an Kundinnen und Kunden",) == model.brief.domain


@pytest.mark.parametrize(("key", "code"), [(b"\x04", 130), (INTERRUPT, 130)], ids=["end of input", "interrupt"])
def test_questions_that_are_broken_off_write_nothing(tmp_path: Path, key: bytes, code: int) -> None:
    ended, shown = type_at_terminal(tmp_path, [b"Mails\n", key], HANDLE)

    assert code == ended, shown
    assert "Traceback" not in shown
    assert [] == list(tmp_path.iterdir())


def test_enter_alone_or_blank_leaves_the_example(tmp_path: Path) -> None:
    entered = type_at_terminal(tmp_path / "a", [b"\n"], HANDLE)[0]
    blank, shown = type_at_terminal(tmp_path / "b", [], HANDLE, "--blank")

    assert (0, 0) == (entered, blank)
    assert "four questions" not in shown
    assert (tmp_path / "a" / HANDLE / "model.yaml").read_bytes() == (
        tmp_path / "b" / HANDLE / "model.yaml"
    ).read_bytes()


def test_new_model_is_valid_as_it_is(models: Path, run_command: Command) -> None:
    run_command("new", HANDLE)
    code, out, _ = run_command("validate", HANDLE, "--json")
    [found] = json.loads(out)["models"]

    assert models.is_dir()
    assert (0, True, ["example_left", "borrowed_subjects", "few_seeds"]) == (
        code,
        found["valid"],
        [hint["kind"] for hint in found["hints"]],
    )
