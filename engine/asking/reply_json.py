"""Find JSON anywhere in a chat model's reply, and read the texts from it in any form that models use."""

import json
import re
from collections.abc import Iterator, Mapping

# Some servers do not separate thoughts from the answer. The thoughts come first, for some models without the first tag.
_TAG = "(?:think|thinking|thought|reasoning)>"
_THOUGHTS = re.compile(rf".*?</{_TAG}(?:\s*<{_TAG}.*?</{_TAG})*", re.DOTALL | re.IGNORECASE)
_UNENDED_THOUGHTS = re.compile(rf"\s*<{_TAG}", re.IGNORECASE)
# The start of a non-empty object or list, also as JSON in a string. Other braces and brackets are prose.
_OPENING = re.compile(r"""\{(?=\s*(?:["']|\Z))|\[(?=\s*["'\[{])|"(?=(?:[\s\[{]|\\[nrt])*[\[{](?:\s|\\[nrt])*\\")""")
MAX_DEPTH = 100
_BRACKET = re.compile(r"[\[\]{}]")
# Half a surrogate pair, which no file can store, and control characters that no text has. These are left over from
# \beta, \frac, \rho, x \times y, $\theta or C:\temp if the backslash is not doubled.
_WRONG = re.compile(r"[\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)|(?:\S |[$({]|\b[A-Za-z]:)\t(?=[a-z])")
_FENCE = re.compile(r"^\s*```\w*|```\s*$")


class UnreadableError(ValueError):
    """A reply, or a value in it, cannot be read. ``breaks_off`` is true if it begins and does not end."""

    def __init__(self, message: str, breaks_off: bool = False) -> None:
        super().__init__(message)
        self.breaks_off = breaks_off


def find_values(text: str) -> list[object]:
    """Return the outermost objects and lists of a reply in order, or the reply's single string.

    JSON in a string is read too. Field names are in lower case. An ``UnreadableError`` replaces a value that cannot be
    read. Nothing is guessed, because a guess would change the model's text.

    Raises:
        UnreadableError: the reply has only thoughts.
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
    """Return the objects of a reply in order, an outer object before its inner objects.

    Raises:
        UnreadableError: there is no object, or the reply's last value cannot be read.
    """
    values = find_values(text)
    if values and isinstance(values[-1], UnreadableError):
        raise values[-1]
    objects = [*_walk_objects(values)]
    if not objects:
        raise UnreadableError("no JSON object in the reply")
    return objects


def drop_thoughts(text: str) -> str:
    """Return a reply without the thoughts before its answer."""
    thoughts = None if text.lstrip().startswith(("{", "[", '"{', '"[')) else _THOUGHTS.match(text)
    rest = text[thoughts.end() :] if thoughts else text
    return "" if _UNENDED_THOUGHTS.match(rest) else rest


def _decode(text: str, start: int) -> tuple[object, int]:
    """Return the value that begins at ``start``, or the error why it cannot be read, and the position of its end."""
    try:
        # Not strict, because models do not escape line breaks in strings.
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
    """Return the end of the value that begins at ``start``, by its brackets, and whether it has an end."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if bracket[0] in "[{" else -1
        if depth == 0:
            return bracket.end(), True
    return len(text), False


def _clean(value: object, depth: int = 0, may_be_text: bool = False) -> object:
    """Return a value with field names in lower case, and with JSON objects and lists in strings decoded.

    A string that ``may_be_text`` is only decoded if it holds an object with no other field than ``text`` or ``texts``.
    """
    if depth > MAX_DEPTH:
        raise UnreadableError(f"the JSON in the reply has more than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {
            (key := name.strip().casefold()): _clean(item, depth + 1, key == "text") for name, item in value.items()
        }
    if isinstance(value, list):
        return [_clean(item, depth + 1, may_be_text=True) for item in value]
    if not isinstance(value, str):
        return value
    if wrong := _WRONG.search(value):
        code = f"a control character or half a surrogate pair (U+{ord(wrong[0][-1]):04X})"
        raise UnreadableError(f"{code} in a text: a backslash has to be doubled")
    try:
        inner = json.loads(value, strict=False)
    except (ValueError, RecursionError):
        return value
    is_answer = inner and isinstance(inner, dict) and {name.strip().casefold() for name in inner} <= {"text", "texts"}
    return _clean(inner, depth + 1) if is_answer or (isinstance(inner, dict | list) and not may_be_text) else value


def _walk_objects(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _walk_objects(item)


def read_texts(reply: str, count: int) -> list[str]:
    """Return at most ``count`` texts of a reply, in order, without blank and repeated texts.

    The texts are in one answer, or in several answers of the same size, such as lines. If there are more than ``count``
    texts, the last ones are returned, because drafts and examples of the form come first.

    Raises:
        UnreadableError: there are no texts, or it is unclear which ones are the answer.
    """
    values = find_values(reply)
    faults = [value for value in values if isinstance(value, UnreadableError)]
    if count == 1 and values and values[-1] in faults:
        raise faults[-1]
    # A reply may consist of one string, or of a list with the requested number of texts.
    texts = _read_list(values if values and isinstance(values[0], str) else values[0] if len(values) == 1 else None)
    answers = [texts] if len(texts) == count else _list_answers(values, count)
    answers = [kept for answer in answers if (kept := [text for text in answer if text.strip()])]
    if not answers:
        raise faults[-1] if faults else UnreadableError("no JSON with a text in the reply")
    if len(answers[-1]) >= count:
        answers = answers[-1:]
    sizes = [len(answer) for answer in answers]
    if len(set(sizes)) > 1:
        listed = " and ".join(map(str, sizes))
        raise UnreadableError(f"answers of {listed} texts in one reply, where {count} were asked for")
    return list(dict.fromkeys(text for answer in answers for text in answer))[-count:]


def _list_answers(value: object, count: int) -> list[list[str]]:
    """List the answers in a value, each a list of texts: an object's ``text`` or ``texts``, else its inner answers."""
    if isinstance(value, dict):
        for name in ("text", "texts") if count == 1 else ("texts", "text"):
            item = value.get(name)
            if texts := _read_list([item] if name == "text" and isinstance(item, str) else item):
                return [texts]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [answer for item in inner for answer in _list_answers(item, count)]


def _read_list(value: object) -> list[str]:
    """Return the texts of a list of strings and objects; none if it is not a list, or if an item has no text."""
    items = value if isinstance(value, list) else []
    answers = [[[item]] if isinstance(item, str) else _list_answers(item, 1) for item in items]
    return [text for group in answers for answer in group for text in answer] if all(answers) else []
