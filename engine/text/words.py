"""Splits, counts and normalises words: the forms in which all other modules compare texts."""

import re
import unicodedata
from collections.abc import Iterable

# English function words: they tell how a text is built, not what it is about.
FUNCTION_WORDS = frozenset(
    """
    a about above after again against all also although always am among an and another any anybody anyone anything
    are around as at away be because been before being below between both but by can cannot could did do does doing
    done down during each either else ever every everybody everyone everything few for from further get gets give
    given go goes got had has have having he her here hers him his how however i if in instead into is it its itself
    just keep keeps kept let like made make makes many may me might more most much must my need needs neither never
    new no nobody nor not nothing now of off often on once one only onto or other others our out over own per please
    put rather really same say see set shall she should since so some somebody someone something sometimes soon
    still such take takes than that the their them then there therefore these they thing things this those though
    three through thus to today together too two under until up upon us use used uses using very via want was way we
    well were what when where whether which while who whose why will with within without would yes yet you your
    """.split()
)
# A run of 8 words in common is what PaLM counts as contamination (Chowdhery et al. 2022, section 8).
COMMON_RUN = 8
# C4 keeps only lines that end in a terminal mark. Screening requires one where nearly all seeds have one.
TERMINAL = (".", "!", "?", '"', "'", "”", "’", ")", "…", ":", "`")


def split_words(text: str) -> list[str]:
    """Splits a text into lower-case words; apostrophes and hyphens inside a word stay."""
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower())


def count_words(text: str) -> int:
    """Counts words as a reader would: the runs between white space."""
    return len(text.split())


def normalise(text: str) -> str:
    """Returns the form in which texts are compared: NFKC, case folded, without punctuation, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]", " ", folded).split())


def shingle(text: str, size: int = 5) -> frozenset[str]:
    """Returns the character n-grams of the normal form; a text shorter than one n-gram is its own single shingle."""
    form = normalise(text)
    return frozenset(form[start : start + size] for start in range(max(1, len(form) - size + 1)))


def word_runs(text: str, size: int) -> frozenset[tuple[str, ...]]:
    """Returns all runs of ``size`` consecutive words of the normal form."""
    words = normalise(text).split()
    return frozenset(tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def list_content_words(texts: Iterable[str]) -> list[str]:
    """Lists the words longer than two letters that are not function words, text by text, with repeats."""
    return [word for text in texts for word in split_words(text) if word not in FUNCTION_WORDS and len(word) > 2]
