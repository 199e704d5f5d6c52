"""A GGUF file's head says what its model is; whatever is no whole one is told in a sentence."""

from pathlib import Path

import pytest
from fakes.model_sources import make_gguf

from engine.errors import ModelNotFoundError
from engine.llm.gguf import CHAT_TEMPLATE, Head, read_head

TEMPLATE = {CHAT_TEMPLATE: "{{ messages }}"}
WHOLE = make_gguf({"w": 7, "v": 5}, TEMPLATE)
NOT_WHOLE = r"is not a whole GGUF file\. Copy it again"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.gguf"


@pytest.mark.parametrize(
    ("content", "head"),
    [
        (WHOLE, Head(12, "{{ messages }}")),
        (make_gguf({}, {"general.name": "x"}), Head(0, None)),
        # A vocabulary need not be text.
        (WHOLE.replace("ß".encode(), b"\xff\xfe"), Head(12, "{{ messages }}")),
    ],
)
def test_head_says_how_many_parameters_there_are_and_the_chat_template(path: Path, content: bytes, head: Head) -> None:
    path.write_bytes(content)

    assert head == read_head(path)


# F32, Q4_1 and Q6_K: 256 numbers in 1,024, 160 and 210 bytes.
@pytest.mark.parametrize(("kind", "stored"), [(0, 1024), (3, 160), (14, 210)])
def test_file_that_is_shorter_than_its_tensors_says_by_how_much(path: Path, kind: int, stored: int) -> None:
    whole = make_gguf({"w": 256}, {}, bytes(stored), kind)
    path.write_bytes(whole)
    assert Head(256, None) == read_head(path)

    path.write_bytes(whole[:-1])
    with pytest.raises(ModelNotFoundError) as caught:
        read_head(path)
    assert str(caught.value).startswith(
        f"{path} is not a whole GGUF file: it has {len(whole) - 1:,} of {len(whole):,} bytes. "
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"PK\3\4 a zip file", r"is not a GGUF file, and llama\.cpp reads no other\. Name another"),
        (b"", NOT_WHOLE),
        (b"GGUF" + b"\xff" * 64, NOT_WHOLE),
        (b"GGUF\3\0\0\0" + b"\1" * 64, NOT_WHOLE),
        *((WHOLE[:keep], NOT_WHOLE) for keep in (7, 23, 60, 100, 150)),
    ],
)
def test_file_of_another_kind_or_cut_off_is_one_message(path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ModelNotFoundError, match=said):
        read_head(path)
