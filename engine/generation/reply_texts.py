"""Reads the texts of a chat model's reply: as many as were asked for, in whatever form they stand there."""

from typing import TypeGuard

from engine.generation.reply_json import UnreadableError, find_values


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
