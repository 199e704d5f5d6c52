"""Reads the JSON of a chat model's reply from wherever it stands in it: exemplars, subjects and votes alike."""

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import pyjson5
from pydantic import BaseModel, ConfigDict, ValidationError

# A reply has one object; text that goes on opening others is not searched without an end.
MOST_OBJECTS = 100
# Models of which the server does not separate the thoughts write them before the answer, some without the first tag.
THOUGHTS = re.compile(r".*?</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
UNENDED_THOUGHTS = re.compile(r"\s*<(?:think|thinking|thought|reasoning)>", re.IGNORECASE)


class ReplyShape(BaseModel):
    """What a reply has to be; fields that nobody asked for are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


Shape = TypeVar("Shape", bound=ReplyShape)


class NoObjectError(ValueError):
    """No object of a reply fits the shape; ``breaks_off`` says that one begins and does not end."""

    def __init__(self, message: str, breaks_off: bool) -> None:
        super().__init__(message)
        self.breaks_off = breaks_off


def read_object(text: str, shape: type[Shape]) -> Shape:
    """The first object in a reply that fits a shape: as JSON or, where none does, as JSON5.

    JSON5 (json5.org) has trailing commas, single quotes, bare keys and comments, which models write, and guesses
    nothing: docs/decisions/033-replies.md has why no library is taken that repairs. What stands in thoughts before the
    answer does not count.

    Raises:
        NoObjectError: no object fits.
    """
    thoughts = THOUGHTS.match(text)
    text = text[thoughts.end() :] if thoughts else text
    if UNENDED_THOUGHTS.match(text):
        raise NoObjectError("nothing but thoughts in the reply", breaks_off=False)
    misfits: list[ValidationError] = []
    for decode in (_decode_json, _decode_json5):
        for found in _find_objects(text, decode):
            try:
                # Not as it is: JSON is refused where half a surrogate pair stands in it, which no file can hold.
                return shape.model_validate_json(json.dumps(found))
            except ValidationError as error:
                misfits.append(error)
    if misfits:
        raise NoObjectError(_describe(misfits[0]), _breaks_off(text))
    raise NoObjectError("no JSON object that can be read in the reply", _breaks_off(text))


def _find_objects(text: str, decode: Callable[[str, int], object]) -> Iterator[object]:
    """The objects of a text in the order in which they begin, so an outer one before those inside it."""
    for brace in islice(re.finditer(r"\{", text), MOST_OBJECTS):
        try:
            yield decode(text, brace.start())
        except (ValueError, RecursionError, pyjson5.Json5DecoderException):
            continue


def _decode_json(text: str, start: int) -> object:
    # Models write line breaks into strings as they are.
    return json.JSONDecoder(strict=False).raw_decode(text, start)[0]


def _decode_json5(text: str, start: int) -> object:
    return pyjson5.decode(text[start:], some=True)


def _breaks_off(text: str) -> bool:
    """Whether an object of a text begins and does not end."""
    for brace in islice(re.finditer(r"\{", text), MOST_OBJECTS):
        try:
            _decode_json5(text, brace.start())
        except pyjson5.Json5EOF:
            return True
        except pyjson5.Json5DecoderException:
            continue
    return False


def _describe(error: ValidationError) -> str:
    first: Any = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
