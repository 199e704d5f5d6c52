"""Finds the JSON of a chat model's reply wherever it stands in it, and the texts in that JSON, however it has them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import TypeGuard

# Models of which the server does not separate the thoughts write them before the answer, some without the first tag.
THOUGHTS = re.compile(r".*?</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
UNENDED_THOUGHTS = re.compile(r"\s*<(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
# What begins an object or a list with something in it; other braces and brackets are prose.
_OPENING = re.compile(r"""\{(?=\s*(?:["']|\Z))|\[(?=\s*["'\[{])""")
_BRACKET = re.compile(r"[\[\]{}]")
# Half a surrogate pair, which no file can hold, and what no text has but is left of \beta, \frac, \rho, x \times y,
# $\theta or C:\temp where the backslash is not doubled.
_WRONG = re.compile(r"[\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)|(?:\S |[$({]|\b[A-Za-z]:)\t(?=[a-z])")
_FENCE = re.compile(r"^\s*```\w*|```\s*$")


class UnreadableError(ValueError):
    """A reply, or a value in it, cannot be read; ``breaks_off`` says that it begins and does not end."""

    def __init__(self, message: str, breaks_off: bool = False) -> None:
        super().__init__(message)
        self.breaks_off = breaks_off


def find_values(text: str) -> list[object]:
    """The objects and lists of a reply in order, but for those inside another, or the one string that it is.

    Fields are named in small letters. Where a value cannot be read an ``UnreadableError`` stands in its place: nothing
    is guessed, since the text would not be what the model wrote.

    Raises:
        UnreadableError: there is nothing but thoughts.
    """
    rest = drop_thoughts(text)
    if text.strip() and not rest.strip():
        raise UnreadableError("nothing but thoughts in the reply")
    values: list[object] = []
    end = 0
    while opening := _OPENING.search(rest, end):
        value, end = _decode(rest, opening.start())
        values.append(value)
    bare = _FENCE.sub("", rest).strip("\ufeff \t\r\n")
    if not values and bare.startswith('"'):
        value, end = _decode(bare, 0)
        return [value] if end == len(bare) else []
    return values


def find_objects(text: str) -> list[Mapping[str, object]]:
    """The objects of a reply in order, an outer one before those inside it.

    Raises:
        UnreadableError: there is none, or the reply's last value cannot be read.
    """
    values = find_values(text)
    if values and isinstance(values[-1], UnreadableError):
        raise values[-1]
    objects = [*_walk_objects(values)]
    if not objects:
        raise UnreadableError("no JSON object in the reply")
    return objects


def drop_thoughts(text: str) -> str:
    """A reply without the thoughts before its answer."""
    thoughts = None if text.lstrip().startswith(("{", "[")) else THOUGHTS.match(text)
    rest = text[thoughts.end() :] if thoughts else text
    return "" if UNENDED_THOUGHTS.match(rest) else rest


def _decode(text: str, start: int) -> tuple[object, int]:
    """The value that begins at a place, or why it cannot be read, and where it ends."""
    try:
        # Models write line breaks into strings as they are.
        value, end = json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        end, is_whole = _find_end(text, start)
        if not is_whole:
            return UnreadableError("a JSON object begins in the reply and does not end", breaks_off=True), end
        return UnreadableError(f"no JSON object that can be read in the reply: {error}"), end
    try:
        return _clean(value), end
    except UnreadableError as error:
        return error, end


def _find_end(text: str, start: int) -> tuple[int, bool]:
    """Where the value that begins at a place ends by its brackets, and whether it does."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[{" else -1
        if depth == 0:
            return bracket.end(), True
    return len(text), False


def _clean(value: object) -> object:
    """The value, its fields named in small letters."""
    if isinstance(value, dict):
        return {name.strip().casefold(): _clean(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, str) and (wrong := _WRONG.search(value)):
        found = f"a control character or half a surrogate pair (U+{ord(wrong[0][-1]):04X}) in a text"
        raise UnreadableError(f"{found}: a backslash has to be doubled")
    return value


def _walk_objects(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _walk_objects(item)


def read_texts(reply: str, count: int) -> list[str]:
    """The texts of a reply, at most ``count`` of them, in order, none blank and none twice.

    They stand in one answer, or in several of as many texts each, such as lines; of more than were asked for the last
    count, after drafts and examples of the form.

    Raises:
        UnreadableError: there are none, or it cannot be told which were meant.
    """
    values = find_values(reply)
    faults = [value for value in values if isinstance(value, UnreadableError)]
    if count == 1 and values and values[-1] in faults:
        raise faults[-1]
    answers = _list_answers(values, count)
    # A reply may be nothing but one string, or a list of as many as were asked for.
    bare = values if values and isinstance(values[0], str) else values[0] if len(values) == 1 else None
    if not answers and _is_texts(bare) and len(bare) == count:
        answers = [bare]
    answers = [kept for answer in answers if (kept := [text for text in answer if text.strip()])]
    if not answers:
        raise faults[-1] if faults else UnreadableError("no JSON with a text in the reply")
    if len(answers[-1]) >= count:
        answers = answers[-1:]
    sizes = [len(answer) for answer in answers]
    if len(set(sizes)) > 1:
        said = " and ".join(str(size) for size in sizes)
        raise UnreadableError(f"answers of {said} texts in one reply, where {count} were asked for")
    return list(dict.fromkeys(text for answer in answers for text in answer))[-count:]


def _list_answers(value: object, count: int) -> list[list[str]]:
    """The answers in a value, each a list of texts: an object's field ``text`` or ``texts``, else those inside it."""
    if isinstance(value, list):
        return [answer for item in value for answer in _list_answers(item, count)]
    if not isinstance(value, dict):
        return []
    for name in ("text", "texts") if count == 1 else ("texts", "text"):
        said = value.get(name)
        if isinstance(said, str) and name == "text":
            return [[said]]
        if _is_texts(said):
            return [said]
    return _list_answers([*value.values()], count)


def _is_texts(said: object) -> TypeGuard[list[str]]:
    return isinstance(said, list) and all(isinstance(item, str) for item in said)
