"""Reads what the head of a GGUF file says of its model: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ModelNotFoundError

CHAT_TEMPLATE = "tokenizer.chat_template"
ALIGNMENT, DEFAULT_ALIGNMENT = "general.alignment", 32
# By the number of a value's type; a string is 8, a list 9.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _LIST = 8, 9


@dataclass(frozen=True, slots=True)
class Head:
    """What a GGUF file says of its model; ``chat_template`` is None where it has none."""

    parameters: int
    chat_template: str | None


class _WrongFileError(Exception):
    """The message says what the file is, and what to do."""


def read_head(path: Path) -> Head:
    """The head of a GGUF file, which is checked to be as long as its tensors are.

    Raises:
        ModelNotFoundError: the file cannot be read, is not a GGUF file, or is cut off.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Reader(content).read()
    except OSError as error:
        raise ModelNotFoundError(f"{path} cannot be read ({error.strerror}). Give the path of a GGUF file") from None
    except _WrongFileError as error:
        raise ModelNotFoundError(f"{path} {error}") from None
    except (struct.error, KeyError, UnicodeDecodeError, ValueError, OverflowError):
        raise ModelNotFoundError(f"{path} is not a whole GGUF file. Copy it again, or name another") from None


class _Reader:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 0

    def read(self) -> Head:
        if self._content[:4] != b"GGUF":
            raise _WrongFileError("is not a GGUF file, and llama.cpp reads no other. Name another")
        self._at = 8
        tensors, count = self._number("Q"), self._number("Q")
        values = {self._string(): self._value(self._number("I")) for _ in range(count)}
        read = [self._read_tensor() for _ in range(tensors)]
        self._check_length(values.get(ALIGNMENT, DEFAULT_ALIGNMENT), max((end for _, end in read), default=None))
        template = values.get(CHAT_TEMPLATE)
        return Head(sum(size for size, _ in read), template if isinstance(template, str) else None)

    def _read_tensor(self) -> tuple[int, int]:
        """How many numbers a tensor has, and where it ends, in bytes after the head."""
        from gguf.constants import GGML_QUANT_SIZES

        self._string()
        size: int = math.prod(self._number("Q") for _ in range(self._number("I")))
        kind, begin = self._number("I"), self._number("Q")
        # Of a type that is not known only the beginning is checked.
        count, stored = {int(known): sizes for known, sizes in GGML_QUANT_SIZES.items()}.get(kind, (1, 0))
        return size, begin + size // count * stored

    def _check_length(self, alignment: int, end: int | None) -> None:
        if end is None:
            return
        whole = math.ceil(self._at / alignment) * alignment + end
        if whole > len(self._content):
            raise _WrongFileError(
                f"is not a whole GGUF file: it has {len(self._content):,} of {whole:,} bytes. Copy it again, or name "
                "another"
            )

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _LIST:
            return self._number(_NUMBERS[kind])
        kind, count = self._number("I"), self._number("Q")
        if kind != _STRING:
            self._at += count * struct.calcsize(_NUMBERS[kind])
            return None
        # A vocabulary, which need not be text.
        for _ in range(count):
            size = self._number("Q")
            self._at += size
        return None

    def _string(self) -> str:
        size = self._number("Q")
        text = self._content[self._at : self._at + size]
        if len(text) < size:
            raise ValueError
        self._at += size
        return text.decode()

    def _number(self, kind: str) -> Any:
        (number,) = struct.unpack_from(f"<{kind}", self._content, self._at)
        self._at += struct.calcsize(f"<{kind}")
        return number
