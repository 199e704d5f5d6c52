"""Measure the style of short texts, and detect variations that have drifted from the voice of their seed.

The features are function words and surface features, which stay the same when the subject changes (Stamatatos 2009,
section 2). The bounds were measured on human texts: docs/decisions/004-screening.md.
"""

import math
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from engine.text.embedding import Vectors
from engine.text.words import count_words, list_content_words, list_function_words, split_words

# A variation should be about as long as its seed. 99 % of the authored texts have .80 to 1.25 times the words of
# another text of their pole, and a new subject may need some more room.
MIN_LENGTH, MAX_LENGTH = 0.6, 1.6
# Maximum share of the shorter text's content words that the longer text has too. In 99 of 100 pairs of authored texts
# of one pole this share is .22 at most, and it is never over .33.
MAX_SHARED_CONTENT = 0.35
# Maximum distance of a text from its seed: the root mean square over features, in units of ``measure_spreads``.
MAX_DISTANCE = 1.4
# A pole's own spread is weighted by its number of texts. The general spread counts like four texts, but times .7,
# because the texts of one pole are more alike than the works of one author.
PRIOR_TEXTS = 4
PRIOR_SHARE = 0.7

FEATURES = ("words a sentence", "punctuation", "informal marks", "function words", "letters a word")
# The standard deviation, in each feature of ``_scale_voice``, of the difference between two texts of one author.
GENERAL_SPREADS: Vectors = np.array([0.652, 0.142, 0.130, 0.114, 0.121])

_CONTRACTION = re.compile(r"n't$|'(?:s|re|ve|ll|d|m)$")
_SENTENCE_END = re.compile(r"(?<![.!?…؟।۔])[.!?…؟।۔]+(?:\s+|$)|[。！？]+|\n+")
_MARKS = re.compile(r"(?<!\w)[-–—]|[-–—](?!\w)|[,;:()\"“”\[\]、，；：،؛「」『』]")
_EMPHASIS = re.compile(r"[!?@#&…！？؟]|\.\.\.")
_CAPITALS = re.compile(r"[#@]?[A-Z]{2,}\W*")


def measure_spreads(texts: Sequence[str], language: str = "en") -> Vectors:
    """Measure how far two texts in one style, such as the seeds of a pole, typically differ in each feature.

    The fewer the texts, the closer the result is to ``GENERAL_SPREADS``.
    """
    prior, seen = (PRIOR_SHARE * GENERAL_SPREADS) ** 2, max(0, len(texts) - 1)
    if not seen:
        return np.sqrt(prior)
    # The difference of two texts has twice the variance of one text.
    variance = 2 * np.stack([_scale_voice(text, language) for text in texts]).var(axis=0, ddof=1)
    return np.sqrt((PRIOR_TEXTS * prior + seen * variance) / (PRIOR_TEXTS + seen))


def find_drift(seed_text: str, text: str, spreads: Vectors = GENERAL_SPREADS, language: str = "en") -> str | None:
    """Describe the difference from the seed's length, wording or style, with both values; None if there is none.

    Args:
        spreads: the unit of the limit on style, from ``measure_spreads`` of the texts in the seed's style.
        language: a tag of BCP 47.
    """
    seed_words, words = count_words(seed_text), count_words(text)
    if not MIN_LENGTH * seed_words <= words <= MAX_LENGTH * seed_words:
        return f"length: {words} words, the seed has {seed_words}"
    share = measure_shared_content(seed_text, text, language)
    if share > MAX_SHARED_CONTENT:
        return f"wording: {share:.0%} of the content words are the seed's, at most {MAX_SHARED_CONTENT:.0%} wanted"
    apart = np.abs(_scale_voice(text, language) - _scale_voice(seed_text, language)) / spreads
    if (distance := _root_mean_square(apart)) <= MAX_DISTANCE:
        return None
    worst = int(np.argmax(apart))
    values = [measure_voice(item, language)[worst] for item in (text, seed_text)]
    difference = f"{FEATURES[worst]}: {values[0]:.2f}, the seed has {values[1]:.2f}"
    return f"{difference} ({apart[worst]:.1f} spreads apart, overall {distance:.1f})"


def measure_distance(one: str, other: str) -> float:
    """Return the style distance of two texts: the root mean square over features, in general spreads; 0 is equal."""
    return _root_mean_square((_scale_voice(one) - _scale_voice(other)) / GENERAL_SPREADS)


# Cached, because each variation measures all seeds, to find the seeds nearest in style.
@lru_cache(maxsize=32_768)
def measure_voice(text: str, language: str = "en") -> tuple[float, ...]:
    """Measure the features of a text, in the order of ``FEATURES``; all but the first are counts per word."""
    words, function_words = split_words(text.replace("’", "'")), list_function_words(language)
    contractions = sum(bool(_CONTRACTION.search(word)) for word in words)
    capitals = sum(bool(_CAPITALS.fullmatch(word)) for word in text.split())
    counts = (
        len(_MARKS.findall(text)),
        contractions + capitals + len(_EMPHASIS.findall(text)),
        sum(word in function_words or "'" in word for word in words),
        sum(map(len, words)),
    )
    sentences = sum(bool(part.strip()) for part in _SENTENCE_END.split(text))
    return len(words) / max(1, sentences), *(count / max(1, len(words)) for count in counts)


def measure_shared_content(one: str, other: str, language: str = "en") -> float:
    """Return the share of the shorter text's content words that the longer text has too, in [0, 1]."""
    first, second = (set(list_content_words([text], language)) for text in (one, other))
    return len(first & second) / max(1, min(len(first), len(second)))


def _scale_voice(text: str, language: str = "en") -> Vectors:
    """Return the features with comparable differences: lengths by their logarithm, small shares by a root.

    The root stabilises the variance of a share (Anscombe 1948 adds 3/8 to a count; 30 words are assumed).
    """
    sentence, marks, informal, function_words, letters = measure_voice(text, language)
    shares = (math.sqrt(share + 0.0125) for share in (marks, informal))
    return np.array([math.log(max(1.0, sentence)), *shares, function_words, math.log(max(1.0, letters))])


def _root_mean_square(values: Vectors) -> float:
    return float(np.sqrt(np.mean(values**2)))
