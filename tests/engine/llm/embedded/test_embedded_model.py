"""Why an embedded server does not start is said in llama.cpp's own words."""

import re
from pathlib import Path

import pytest

from engine.errors import ProviderUnavailableError
from engine.llm.embedded import embedded_model
from engine.llm.embedded.embedded_model import serve_embedded
from engine.llm.embedded.embedded_models import list_embedded_models
from engine.settings import EmbeddedPlace

TEMPLATE = """0.00.303.165 E common_chat_templates_init: parser: Parser Error: Expected }} (Got }).
0.00.303.185 E srv          init: init: chat template parsing error: std::exception"""
LOADING = "0.00.074.510 E llama_model_load: error loading model: unknown\nRuntimeError: Failed to init."


# As llama.cpp writes it.
@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (TEMPLATE, "its chat template cannot be read (Parser Error: Expected }} (Got })). EXEMPLARS_SYNTH_STYLE=plain"),
        (LOADING, "unknown. Name"),
        ("MemoryError.", "MemoryError. Name a GGUF file"),
    ],
)
def test_first_error_of_the_server_is_its_cause_else_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, cause: str
) -> None:
    own, server = tmp_path / "own.gguf", tmp_path / "server.py"
    own.write_bytes(b"GGUF")
    server.write_text(f"import sys\nsys.exit({lines!r})\n")
    monkeypatch.setattr(embedded_model, "SERVER", server)
    said = re.escape(f"{own}: {cause}")

    with (
        pytest.raises(ProviderUnavailableError, match=said),
        serve_embedded(f"embedded/{own}", EmbeddedPlace(tmp_path)),
    ):
        pass


# The one test with llama.cpp itself. Which of its lines it gets written before it ends is up to the machine.
def test_template_that_cannot_be_read_is_told_in_a_chat(tmp_path: Path) -> None:
    own, shipped = tmp_path / "own.gguf", list_embedded_models()["smollm2-135m"].find(tmp_path)
    assert shipped
    own.write_bytes(shipped.read_bytes().replace(b"{% for message", b"{{ for message", 1))
    said = r"The embedded server did not start with .*own\.gguf: "

    with (
        pytest.raises(ProviderUnavailableError, match=said),
        serve_embedded(f"embedded/{own}", EmbeddedPlace(tmp_path, "chat")),
    ):
        pass
