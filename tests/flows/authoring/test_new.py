"""The command ``new``: five questions at a terminal, an example elsewhere, and one message for whatever is wrong."""

import io
import re
import sys
from pathlib import Path

import pytest
from fakes.commands import Command

from engine.definitions.loader import load_model

HANDLE = "acme.reviews"
TYPED = """\
Antworten an Kundinnen und Kunden
Es geht darum, ob die Antwort freundlich ist
Höflichkeit
Behandelt die Antwort den Menschen als Menschen?
Höflich: dankt und bietet Hilfe an
höflich: droht
Schroff: zählt Regeln auf
Danke für Ihre Geduld!
Gern schicken wir Ersatz.
Das tut uns leid.
Lesen Sie die Regeln.

Abgelehnt.

"""


class Terminal(io.TextIOWrapper):
    """A stream of a terminal; Ctrl-C is typed as ``^C``, and a line that is no UTF-8 is lost alone."""

    def __init__(self, typed: bytes = b"") -> None:
        self.bytes = io.BytesIO(typed)
        super().__init__(self.bytes, encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        line = self.bytes.readline(size)
        if b"^C" in line:
            raise KeyboardInterrupt
        return line.decode()


def type_at_terminal(monkeypatch: pytest.MonkeyPatch, typed: bytes) -> Terminal:
    """The terminal that the command writes to."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stdout", shown)
    return shown


def test_model_is_begun_without_a_terminal_valid_as_it_is_and_a_second_start_overwrites_nothing(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run_command("new", HANDLE)
    [found] = run_command("validate", HANDLE, "--json").facts["models"]
    (models / HANDLE / "model.yaml").write_text("mine")
    again, malformed = run_command("new", HANDLE), run_command("new", "Acme Reviews")
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", "s3://bucket/models")
    elsewhere = run_command("new", HANDLE)

    assert (0, f"{models / HANDLE / 'model.yaml'}\n") == (code, out)
    assert ["validate", "plan", "try", "synthesize"] == re.findall(rf"exemplars (\w+) {HANDLE}", err)
    assert found["valid"]
    assert ["example_left", "few_seeds"] == [hint["kind"] for hint in found["hints"]]
    assert f"{models / HANDLE / 'model.yaml'} is there already, and stays as it is." in again.message
    assert (2, "mine") == (again.code, (models / HANDLE / "model.yaml").read_text())
    assert (2, True) == (malformed.code, "is not a handle" in malformed.message)
    assert (2, True) == (elsewhere.code, "EXEMPLARS_MODELS_URI is s3://bucket/models, and a" in elsewhere.message)


def test_four_questions_at_a_terminal_fill_in_the_file(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = type_at_terminal(monkeypatch, b"\xff bytes\n" + TYPED.encode())
    code = run_command("new", HANDLE).code
    [trait] = (model := load_model(str(models), HANDLE)).traits

    told = shown.bytes.getvalue().decode()

    assert 0 == code
    assert "That has bytes that are no characters" in told
    assert "4. 3 texts for each end, one a line. Enter alone leaves one out.\n   Six are better" in told
    assert "'Höflich' is the other end already" in told
    assert ("hoflichkeit", "Höflich", "Schroff") == (trait.key, trait.positive_label, trait.negative_label)
    assert ("Dankt und bietet Hilfe an.",) == trait.positive_paraphrase
    assert (3, 2) == tuple(len(model.seeds_at(trait.key, pole)) for pole in ("positive", "negative"))
    assert ("Antworten an Kundinnen und Kunden",) == model.brief.domain


def test_file_of_texts_is_copied_beside_the_model_and_read(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "samples.jsonl").write_text("{}")
    (tmp_path / "meine mails.ndjson").write_text('{"nachricht": "Wo bleibt mein Paket?"}\n')
    files = [f"{tmp_path}/gone.csv", f"{tmp_path}/samples.jsonl", f"'{tmp_path}/meine mails.ndjson'"]
    typed = [*files, "nachricht"]
    shown = type_at_terminal(monkeypatch, "\n".join([TYPED.rstrip(), *typed, ""]).encode())
    code = run_command("new", HANDLE).code
    told, model = shown.bytes.getvalue().decode(), load_model(str(models), HANDLE)

    assert 0 == code
    assert f"There is no file {tmp_path}/gone.csv" in told
    assert "samples.jsonl cannot be it." in told
    assert ("Wo bleibt mein Paket?",) == model.texts.drawn
    assert (5, ()) == (len(model.seeds), model.skipped)


def test_questions_that_are_broken_off_write_nothing_and_enter_alone_leaves_the_example(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for typed in (b"Mails\n", b"Mails\n^C\n"):
        type_at_terminal(monkeypatch, typed)
        code, _, said = run_command("new", HANDLE)
        assert (130, "exemplars: broken off at a question. Nothing was written\n") == (code, said)
    assert not models.exists()
    shown = type_at_terminal(monkeypatch, b"\n")
    blank, asked = run_command("new", "acme.blank", "--blank").code, b"five questions" in shown.bytes.getvalue()
    entered = run_command("new", HANDLE).code
    texts = {name: (models / name / "model.yaml").read_text() for name in ("acme.blank", HANDLE)}

    assert (0, 0, False) == (entered, blank, asked)
    assert b"five questions" in shown.bytes.getvalue()
    assert texts[HANDLE] == texts["acme.blank"].replace("acme.blank", HANDLE)
