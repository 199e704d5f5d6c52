from pathlib import Path

import pytest
from fakes.model_sources import make_gguf

from engine.errors import ModelNotFoundError
from engine.llm.gguf import CHAT_TEMPLATE, Head, read_head


def test_head_says_how_many_parameters_there_are_and_the_chat_template(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(make_gguf({"w": 7, "v": 5}, {CHAT_TEMPLATE: "{{ messages }}"}))

    assert Head(12, "{{ messages }}") == read_head(tmp_path / "a.gguf")


def test_template_is_none_where_the_file_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(make_gguf({}, {"general.name": "x"}))

    assert Head(0, None) == read_head(tmp_path / "a.gguf")


@pytest.mark.parametrize("keep", range(0, 180, 7))
def test_file_that_is_cut_off_is_one_message(tmp_path: Path, keep: int) -> None:
    whole = make_gguf({"w": 7}, {CHAT_TEMPLATE: "{{ messages }}"})
    (tmp_path / "a.gguf").write_bytes(whole[: min(keep, len(whole) - 1)])

    with pytest.raises(ModelNotFoundError, match=r"a\.gguf is not a (whole )?GGUF file"):
        read_head(tmp_path / "a.gguf")


# F32, Q4_1 and Q6_K: 256 numbers in 1,024, 160 and 210 bytes.
@pytest.mark.parametrize(("kind", "stored"), [(0, 1024), (3, 160), (14, 210)])
def test_file_that_is_shorter_than_its_tensors_is_one_message(tmp_path: Path, kind: int, stored: int) -> None:
    path = tmp_path / "a.gguf"
    whole = make_gguf({"w": 256}, {}, bytes(stored), kind)
    path.write_bytes(whole)

    assert Head(256, None) == read_head(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(ModelNotFoundError) as caught:
        read_head(path)
    assert (
        f"{path} is not a whole GGUF file: it has {len(whole) - 1:,} of {len(whole):,} bytes. Copy it again, or name "
        "another"
    ) == str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\3\4 a zip file", r"is not a GGUF file, and llama\.cpp reads no other\. Name another"),
        (b"", r"is not a whole GGUF file\. Copy it again"),
        (b"GGUF" + b"\xff" * 64, "is not a whole GGUF file"),
        (b"GGUF\3\0\0\0" + b"\1" * 64, "is not a whole GGUF file"),
    ],
)
def test_file_of_another_kind_is_one_message(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.gguf").write_bytes(content)

    with pytest.raises(ModelNotFoundError, match=said):
        read_head(tmp_path / "a.gguf")


def test_file_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="No such file"):
        read_head(tmp_path / "a.gguf")


def test_vocabulary_need_not_be_text(tmp_path: Path) -> None:
    content = make_gguf({"w": 7}, {CHAT_TEMPLATE: "x"}).replace("ß".encode(), b"\xff\xfe")
    (tmp_path / "a.gguf").write_bytes(content)

    assert Head(7, "x") == read_head(tmp_path / "a.gguf")
