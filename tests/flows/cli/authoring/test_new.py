"""The command ``new``: four questions at a terminal, an example elsewhere, and one message for whatever is wrong."""

import io
import sys
from pathlib import Path

import pytest
from fakes.commands import Command

from engine.definitions.loader import load_model

HANDLE = "acme.reviews"
TYPED = """\
Antworten an Kundinnen und Kunden
Es geht darum, ob die Antwort freundlich ist
Höflichkeit: Behandelt die Antwort den Menschen als Menschen?
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
    """A stream of a terminal, at which something may be typed; Ctrl-C is typed as ``^C``."""

    def __init__(self, typed: bytes = b"") -> None:
        self._bytes = io.BytesIO(typed)
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        """It is one."""
        return True

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        """The next line; one that is no UTF-8 is lost alone."""
        line = self._bytes.readline(size)
        if b"^C" in line:
            raise KeyboardInterrupt
        return line.decode()

    @property
    def shown(self) -> str:
        """What has been written to it."""
        return self._bytes.getvalue().decode()


def type_at_terminal(monkeypatch: pytest.MonkeyPatch, typed: bytes) -> Terminal:
    """Returns the terminal that the command writes to."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stdout", shown)
    return shown


def test_model_is_begun_without_a_terminal_valid_as_it_is_and_a_second_start_overwrites_nothing(
    models: Path, run_command: Command
) -> None:
    code, out, err = run_command("new", HANDLE)
    [found] = run_command("validate", HANDLE, "--json").facts["models"]
    (models / HANDLE / "model.yaml").write_text("mine")
    again = run_command("new", HANDLE)

    assert (0, f"{models / HANDLE / 'model.yaml'}\n") == (code, out)
    assert "exemplars validate acme.reviews" in err
    assert (True, ["example_left", "borrowed_subjects", "few_seeds"]) == (
        found["valid"],
        [hint["kind"] for hint in found["hints"]],
    )
    assert f"exemplars: {models / HANDLE / 'model.yaml'} is there already, and stays as it is." in again.message
    assert (2, "mine") == (again.code, (models / HANDLE / "model.yaml").read_text())


@pytest.mark.parametrize(
    ("uri", "handle", "said"),
    [
        ("s3://bucket/models", HANDLE, "EXEMPLARS_MODELS_URI is s3://bucket/models, and a new model is written for"),
        ("{folder}/models", "Acme Reviews", "is not a handle"),
    ],
)
def test_model_that_cannot_be_begun_is_refused(
    tmp_path: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch, uri: str, handle: str, said: str
) -> None:
    monkeypatch.setenv("EXEMPLARS_MODELS_URI", uri.format(folder=tmp_path))
    refused = run_command("new", handle)

    assert said in refused.message
    assert (2, []) == (refused.code, list(tmp_path.iterdir()))


def test_four_questions_at_a_terminal_fill_in_the_file(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = type_at_terminal(monkeypatch, b"\xff bytes\n" + TYPED.encode())
    code = run_command("new", HANDLE).code
    [trait] = (model := load_model(str(models), HANDLE)).traits

    assert 0 == code
    assert "That has bytes that are no characters" in shown.shown
    assert "Begin with a word or two that name it" in shown.shown
    assert "'Höflich' is the other end already" in shown.shown
    assert ("hoflichkeit", "Höflich", "Schroff", ("Dankt und bietet Hilfe an.",)) == (
        trait.key,
        trait.positive_label,
        trait.negative_label,
        trait.positive_paraphrase,
    )
    assert (3, 2) == tuple(len(model.seeds_at(trait.key, pole)) for pole in ("positive", "negative"))
    assert ("Antworten an Kundinnen und Kunden",) == model.brief.domain


@pytest.mark.parametrize("typed", [b"Mails\n", b"Mails\n^C\n"], ids=["end of input", "interrupt"])
def test_questions_that_are_broken_off_write_nothing(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch, typed: bytes
) -> None:
    type_at_terminal(monkeypatch, typed)
    code, _, said = run_command("new", HANDLE)

    assert (130, "exemplars: broken off at a question. Nothing was written\n") == (code, said)
    assert not models.exists()


def test_enter_alone_or_blank_leaves_the_example(
    models: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = type_at_terminal(monkeypatch, b"\n")
    blank, asked = run_command("new", "acme.blank", "--blank").code, "four questions" in shown.shown
    entered = run_command("new", HANDLE).code
    texts = {name: (models / name / "model.yaml").read_text() for name in ("acme.blank", HANDLE)}

    assert (0, 0, False) == (entered, blank, asked)
    assert "four questions" in shown.shown
    assert texts[HANDLE] == texts["acme.blank"].replace("acme.blank", HANDLE)
