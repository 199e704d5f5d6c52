"""Reads which of the allowed answers a judge's reply gives: the one that is named and stands alone."""

from collections.abc import Sequence
from unicodedata import normalize

import regex

from engine.asking.reply_json import UnreadableError, drop_thoughts, find_objects
from engine.llm.client.request import REFUSED, Reply

# A named answer becomes one of these characters, which no label has after folding.
_FIRST_SIGN = 0xE000
_UNSEEN = regex.compile(r"[\p{Cf}\p{Co}\ufe0e\ufe0f]")
_SEPARATORS = regex.compile(r"[.!;:()\[\]{}<>|。\n]+|\s\p{Pd}\s|—")
# A question is none of the words that may stand around an answer.
_WORD = regex.compile(r"\w+(?:['’]\w+)?|[?？]")
_REASON = regex.compile(r"\b(?:because|since)\b.*", regex.DOTALL)
_NEGATION = regex.compile(r"\b(?:not|no|never|nor|cannot|hardly|barely|\w+n['’]t)\b")
# What may stand around an answer in its sentence, and turns none round.
_AROUND = frozenset(
    "a an the i'd it's i would say choose pick vote judge my this it text passage answer verdict choice label final "
    "correct best is as for that to be reads stands at end so therefore thus of them these two".split()
)


def read_answer(reply: Reply, answers: Sequence[str]) -> str | None:
    """The answer that a reply gives: exactly one of ``answers`` is named in it, as whole words, and stands alone.

    It may be any case and width, with marks around it, in a sentence of words that turn none round, before a reason.
    """
    said = _fold(_find_said(reply))
    names = {_write_pattern(words): answer for answer in answers if (words := _fold(answer).split())}
    # The longest first, since one may contain another.
    ordered = sorted(names, key=len, reverse=True)
    for number, pattern in enumerate(ordered):
        said = regex.sub(pattern, chr(_FIRST_SIGN + number), said)
    named = {character for character in said if 0 <= ord(character) - _FIRST_SIGN < len(ordered)}
    if len(named) != 1:
        return None
    [sign] = named
    lines = [line for line in said.splitlines() if not _NEGATION.search(line.partition(sign)[0])]
    parts = [part for part in _SEPARATORS.split("\n".join(lines)) if sign in part]
    is_alone = any(_AROUND.issuperset(_list_words(part.replace(sign, " "))) for part in parts)
    return names[ordered[ord(sign) - _FIRST_SIGN]] if is_alone else None


def _find_said(reply: Reply) -> str:
    """The field ``answer`` of the last object that has one, else the texts of the last object, else the reply."""
    if reply.finish == REFUSED:
        return ""
    try:
        objects = find_objects(reply.text)
    except UnreadableError as error:
        return "" if error.breaks_off or reply.finish == "length" else drop_thoughts(reply.text)
    given = [fields["answer"] for fields in objects if not isinstance(fields.get("answer", {}), dict)]
    said = given[-1] if given else list(objects[-1].values())
    return "\n".join(item for item in (said if isinstance(said, list) else [said]) if isinstance(item, str))


def _fold(text: str) -> str:
    return normalize("NFKC", _UNSEEN.sub("", text)).casefold()


def _write_pattern(words: Sequence[str]) -> str:
    """The pattern of an answer that is no part of a longer word, or of a longer row of its sign."""
    ends = words[0][0], words[-1][-1]
    first, last = (r"\w" if regex.match(r"\w", end) else regex.escape(end) for end in ends)
    return rf"(?<!{first})" + r"\s+".join(map(regex.escape, words)) + rf"(?!{last})"


def _list_words(part: str) -> list[str]:
    return [word.replace("’", "'") for word in _WORD.findall(_REASON.sub("", part).replace("_", " "))]
