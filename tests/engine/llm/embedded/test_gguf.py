"""A GGUF file's head says what its model is; whatever is no whole one is told in a sentence."""

from pathlib import Path

import pytest
from fakes.model_sources import make_gguf

from engine.errors import ModelNotFoundError
from engine.llm.embedded.gguf import CHAT_TEMPLATE, Head, read_head

WHOLE = make_gguf({"w": 7, "v": 5}, {CHAT_TEMPLATE: "{{ messages }}"})


def write(folder: Path, content: bytes) -> Path:
    (folder / "a.gguf").write_bytes(content)
    return folder / "a.gguf"


def test_head_says_how_many_parameters_there_are_and_the_chat_template(tmp_path: Path) -> None:
    # A vocabulary need not be text.
    for content in (WHOLE, WHOLE.replace("ß".encode(), b"\xff\xfe")):
        assert Head(12, "{{ messages }}") == read_head(write(tmp_path, content))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 a zip file", b"GGUF" + b"\xff" * 64, WHOLE[:60], WHOLE[:150]])
def test_file_of_another_kind_or_cut_off_is_one_message(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelNotFoundError, match=r"is not a whole GGUF file, and llama\.cpp reads no other"):
        read_head(write(tmp_path, content))
    with pytest.raises(ModelNotFoundError, match="No such file"):
        read_head(tmp_path / "none.gguf")
