"""Formats numbers, costs and identifiers for sentences that people read."""

import math
import re
from collections.abc import Sequence

QUOTED_CHARS = 120


def name_plainly(name: str) -> str:
    """Turns an identifier into words: ``ExpectNoDuplicates`` and ``expect_no_duplicates`` → “Expect no duplicates”.

    A name that contains a space is a sentence already and is returned unchanged.
    """
    if " " in name:
        return name
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower()
    return words[:1].upper() + words[1:]


def capitalise(sentence: str) -> str:
    """Makes the first letter of a sentence a capital and leaves the others as they are."""
    return sentence[:1].upper() + sentence[1:]


def name_reason(code: str) -> str:
    """Names a reason code in words: ``near_duplicate`` → “near duplicate”, ``surplus`` → “to spare”."""
    return "to spare" if code == "surplus" else code.replace("_", " ")


def shorten(text: str, most_chars: int) -> str:
    """Cuts a text at so many characters, with “…” as the last of them."""
    return text if len(text) <= most_chars else f"{text[: most_chars - 1]}…"


def quote_reply(said: str) -> str:
    """Quotes the beginning of a model's reply in one line; “an empty one” where there is nothing in it."""
    folded = " ".join(said.split())
    return f"“{shorten(folded, QUOTED_CHARS)}”" if folded else "an empty one"


def count_noun(number: int, noun: str, plural: str | None = None) -> str:
    """Formats a number with its noun: “1 exemplar”, “2,048 exemplars”."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def join_words(words: Sequence[str]) -> str:
    """Joins words as a sentence does: “forms, audiences and lengths”; an empty text for none."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def format_cost(cost_usd: float | None) -> str:
    """Formats a cost in US dollars, “not known” for None; a cost below $0.10 keeps at least two significant digits."""
    if cost_usd is None:
        return "not known"
    if cost_usd == 0 or cost_usd >= 0.1:
        return f"${cost_usd:,.2f}"
    return f"${cost_usd:.{max(4, 1 - math.floor(math.log10(cost_usd)))}f}"


def format_bytes(number: float) -> str:
    """A size in decimal units: ``491 MB``, ``1.1 GB``."""
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.0f} MB"
