"""Numbers, costs and identifiers as they read in a sentence."""

import math
import re


def name_plainly(name: str) -> str:
    """An identifier as words: ``ExpectNoDuplicates`` and ``expect_no_duplicates`` become “Expect no duplicates”.

    A name that has a space is a sentence already and stays as it is.
    """
    if " " in name:
        return name
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower()
    return words[:1].upper() + words[1:]


def count_noun(number: int, noun: str, plural: str | None = None) -> str:
    """“1 exemplar”, “2,048 exemplars”."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def format_cost(cost_usd: float | None) -> str:
    """A cost in US dollars; small ones keep the digits that make them more than nothing, two at least."""
    if cost_usd is None:
        return "not known"
    if cost_usd == 0 or cost_usd >= 0.1:
        return f"${cost_usd:,.2f}"
    return f"${cost_usd:.{max(4, 1 - math.floor(math.log10(cost_usd)))}f}"
