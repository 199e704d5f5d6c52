"""The file and the style of an embedded model's name, and the message if the file is missing or useless."""

import hashlib
import re
from pathlib import Path

import pytest
from fakes.model_sources import CONTENT, FILE, make_model

from engine.errors import InputError, ModelNotFoundError, ProviderUnavailableError
from engine.llm.embedded import embedded_models
from engine.llm.embedded.embedded_models import choose_model, find_embedded, list_embedded_models, serve_embedded
from engine.settings import Settings, Style

CHAT, PLAIN = b"GGUF tokenizer.chat_template {{ messages }}", b"GGUF".ljust(99)
SMOLLM2, STAND_IN = "embedded/smollm2-135m", "embedded/stand-in"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    models = {"stand-in": make_model(), "smollm2-135m": list_embedded_models()["smollm2-135m"]}
    monkeypatch.setattr(embedded_models, "list_embedded_models", lambda: models)


def test_list_says_where_each_model_comes_from_and_one_is_installed(tmp_path: Path) -> None:
    models, found = list_embedded_models(), find_embedded(SMOLLM2, Settings(embedded_dir=str(tmp_path)))

    assert ["smollm2-135m"] == [name for name, item in models.items() if item.installed]
    assert all(bool(item.installed) != bool(item.hub and item.packages) for item in models.values())
    assert (SMOLLM2, "plain") == (found.name, found.style)
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()
    assert "chat" == find_embedded(SMOLLM2, Settings(embedded_dir=str(tmp_path), synth_style="chat")).style


@pytest.mark.usefixtures("stand_in")
def test_bare_name_is_the_first_of_the_list_whose_whole_file_is_there(tmp_path: Path) -> None:
    found = []
    for size in (0, len(CONTENT) - 1, len(CONTENT)):
        (tmp_path / FILE).write_bytes(CONTENT[:size])
        found.append(find_embedded("embedded", Settings(embedded_dir=str(tmp_path))).name)
    (tmp_path / FILE).write_bytes(CONTENT[:100])

    assert [SMOLLM2, SMOLLM2, STAND_IN] == found
    with pytest.raises(ModelNotFoundError, match=r"missing or incomplete\. Get it .1 MB.: 'exemplars models get"):
        find_embedded(STAND_IN, Settings(embedded_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("content", "asked", "style"),
    [
        (CHAT, None, "chat"),
        (CHAT[:-1], None, "plain"),
        (PLAIN, None, "plain"),
        (CHAT, "plain", "plain"),
        (CHAT[:-1], "chat", "chat"),
    ],
)
def test_own_file_is_asked_in_a_chat_where_it_has_learnt_that_or_as_the_setting_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, asked: Style | None, style: str
) -> None:
    monkeypatch.setattr(embedded_models, "CHAT_BYTES", len(CHAT))
    own = tmp_path / "own.gguf"
    own.write_bytes(content)
    found = find_embedded(f"embedded/{own}", Settings(embedded_dir=str(tmp_path), synth_style=asked))

    assert ("embedded/own.gguf", style, None) == (found.name, found.style, found.listed)
    own.write_bytes(PLAIN)
    with pytest.raises(InputError, match=r"own\.gguf has no chat template, .* Unset EXEMPLARS_SYNTH_STYLE"):
        find_embedded(f"embedded/{own}", Settings(embedded_dir=str(tmp_path), synth_style="chat"))
    own.write_bytes(b"PK\3\4 a zip file")
    with pytest.raises(ModelNotFoundError, match=r"is not a GGUF file, and llama\.cpp reads no other"):
        find_embedded(f"embedded/{own}", Settings(embedded_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("qwen2.5-coder", r": /.*/qwen2\.5-coder cannot be read \(No such file .*\)\. .* Did you mean embedded/qwen2"),
        ("{folder}", r": /.* cannot be read \(not a file\)\. Give one of"),
    ],
)
def test_path_of_no_file_is_one_message(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(ModelNotFoundError, match=f"is no embedded model{said}"):
        find_embedded(f"embedded/{given.format(folder=tmp_path)}", Settings(embedded_dir=str(tmp_path)))


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("names", "chosen", "then"),
    [
        ((STAND_IN, "embedded"), "embedded", STAND_IN),
        ((STAND_IN,), STAND_IN, STAND_IN),
        (("openai/x", "embedded"), "openai/x", "openai/x"),
        ((STAND_IN, "openai/x"), "openai/x", STAND_IN),
    ],
)
def test_first_model_that_can_be_asked_is_chosen(
    tmp_path: Path, names: tuple[str, ...], chosen: str, then: str
) -> None:
    before = choose_model(names, Settings(embedded_dir=str(tmp_path)))
    (tmp_path / FILE).write_bytes(CONTENT)

    assert (chosen, then) == (before, choose_model(names, Settings(embedded_dir=str(tmp_path))))


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
    monkeypatch.setattr(embedded_models, "SERVER", server)
    said = re.escape(f"{own}: {cause}")

    with (
        pytest.raises(ProviderUnavailableError, match=said),
        serve_embedded(f"embedded/{own}", Settings(embedded_dir=str(tmp_path))),
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
        serve_embedded(f"embedded/{own}", Settings(embedded_dir=str(tmp_path), synth_style="chat")),
    ):
        pass
