"""A GGUF file's head says what its model is; whatever is no whole one is told in a sentence."""

from pathlib import Path

import pytest
from fakes.model_sources import make_gguf

from engine.errors import ModelNotFoundError
from engine.llm.embedded.gguf import CHAT_TEMPLATE, Head, read_head

WHOLE = make_gguf({"w": 7, "v": 5}, {CHAT_TEMPLATE: "{{ messages }}"})
NOT_WHOLE = r"is not a whole GGUF file\. Copy it again"


def write(folder: Path, content: bytes) -> Path:
    (folder / "a.gguf").write_bytes(content)
    return folder / "a.gguf"


def test_head_says_how_many_parameters_there_are_and_the_chat_template(tmp_path: Path) -> None:
    # A vocabulary need not be text.
    for content in (WHOLE, WHOLE.replace("ß".encode(), b"\xff\xfe")):
        assert Head(12, "{{ messages }}") == read_head(write(tmp_path, content))


# F32 and Q6_K: 256 numbers in 1,024 and 210 bytes.
@pytest.mark.parametrize(("kind", "stored"), [(0, 1024), (14, 210)])
def test_file_that_is_shorter_than_its_tensors_says_by_how_much(tmp_path: Path, kind: int, stored: int) -> None:
    whole = make_gguf({"w": 256}, {}, bytes(stored), kind)
    assert Head(256, None) == read_head(write(tmp_path, whole))

    with pytest.raises(ModelNotFoundError, match=f"it has {len(whole) - 1:,} of {len(whole):,} bytes"):
        read_head(write(tmp_path, whole[:-1]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\3\4 a zip file", r"is not a GGUF file, and llama\.cpp reads no other"),
        *((content, NOT_WHOLE) for content in (b"", b"GGUF" + b"\xff" * 64, WHOLE[:60], WHOLE[:150])),
    ],
)
def test_file_of_another_kind_or_cut_off_is_one_message(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(ModelNotFoundError, match=said):
        read_head(write(tmp_path, content))
    with pytest.raises(ModelNotFoundError, match="No such file"):
        read_head(tmp_path / "none.gguf")
