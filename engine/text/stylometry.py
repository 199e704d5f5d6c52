"""Measures the style of short texts, and tells whether a variation has drifted from the voice of its seed.

The features are function words and surface features, which stay the same when the subject changes (Stamatatos 2009,
section 2). The bounds were measured on human texts: docs/decisions/011-voice.md.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.domain.language_tag import find_code
from engine.text.function_words import FUNCTION_WORDS, list_content_words
from engine.text.words import count_words, split_words

# A variation is about as long as its seed: 99 % of the authored texts have .80 to 1.25 times the words of another text
# of their pole, and a new subject may need some room.
MIN_LENGTH, MAX_LENGTH = 0.6, 1.6
# The share of the shorter text's content words that the other text has too: in 99 of 100 pairs of authored texts of one
# pole it is .22 at most, and never over .33.
MAX_SHARED_CONTENT = 0.35
# How far one feature may lie from the seed's, and all of them on average, in spreads of the pole's own texts.
MAX_FEATURE = 3.5
MAX_AVERAGE = 1.4
# A difference of less than this many words is chance.
ONE_WORD_MARGIN = 1.5
# A pole's own spread is weighted by its number of texts, and the general spread (.7 of it, since the texts of one pole
# are more alike than the works of one author) like four texts.
PRIOR_TEXTS = 4
PRIOR_SHARE = 0.7

_FIRST = frozenset("i me my mine myself we us our ours i'm i've i'd i'll we're we've we'll we'd let's".split())
_SECOND = frozenset("you your yours yourself you're you've you'll you'd".split())
_THIRD = frozenset("he him his himself she her hers herself they them their theirs themselves".split())
_PAST = frozenset(
    "was were had did said went came saw took made got gave found thought knew told felt left ran".split()
)
_CONTRACTION = re.compile(r"n't$|'(?:s|re|ve|ll|d|m)$")
_NOUN_FROM_VERB = re.compile(r"\w{3,}(?:tion|sion|ment|ity|ance|ence|ness|ism|ive|ate|ised|ized)s?$")
_SENTENCE_END = re.compile(r"(?<![.!?…؟।۔])[.!?…؟।۔]+(?:\s+|$)|[。！？]+|\n+")
_MARKS = re.compile(r"(?<!\w)[-–—]|[-–—](?!\w)|[,;:()\"“”\[\]、，；：،؛「」『』]")
_EMPHASIS = re.compile(r"[!?@#&…！？؟]|\.\.\.")
_CAPITALS = re.compile(r"[#@]?[A-Z]{2,}\W*")


@dataclass(frozen=True, slots=True)
class _Text:
    text: str
    words: tuple[str, ...]

    def share(self, count: int) -> float:
        return count / max(1, len(self.words))


@dataclass(frozen=True, slots=True)
class _Feature:
    """One feature of a text's style.

    ``transform`` makes differences comparable over the feature's range; ``spread`` is the standard deviation of the
    difference between two texts of one author.
    """

    name: str
    measure: Callable[[_Text], float]
    transform: Callable[[float], float]
    spread: float


def _measure_sentences(text: _Text) -> float:
    return len(text.words) / max(1, sum(bool(part.strip()) for part in _SENTENCE_END.split(text.text)))


def _measure_informality(text: _Text) -> float:
    contractions = sum(bool(_CONTRACTION.search(word)) for word in text.words)
    capitals = sum(bool(_CAPITALS.fullmatch(word)) for word in text.text.split())
    return text.share(contractions + capitals + len(_EMPHASIS.findall(text.text)))


def _measure_function_words(text: _Text) -> float:
    return text.share(sum(word in FUNCTION_WORDS or "'" in word for word in text.words))


def _measure_past(text: _Text) -> float:
    return text.share(sum(word in _PAST or (len(word) > 3 and word.endswith("ed")) for word in text.words))


def _count_in(words: frozenset[str]) -> Callable[[_Text], float]:
    return lambda text: text.share(sum(word in words for word in text.words))


def _stabilise(share: float) -> float:
    """Stabilises the variance of a small share by a root (Anscombe 1948: 3/8 is added to a count, here in 30 words)."""
    return math.sqrt(share + 0.0125)


_FEATURES = (
    _Feature("words a sentence", _measure_sentences, lambda value: math.log(max(1.0, value)), 0.652),
    _Feature("punctuation", lambda text: text.share(len(_MARKS.findall(text.text))), _stabilise, 0.142),
    _Feature("informal marks", _measure_informality, _stabilise, 0.130),
    _Feature("function words", _measure_function_words, float, 0.114),
    _Feature("first person", _count_in(_FIRST), _stabilise, 0.100),
    _Feature("second person", _count_in(_SECOND), _stabilise, 0.094),
    _Feature("third person", _count_in(_THIRD), _stabilise, 0.105),
    _Feature("letters a word", lambda text: text.share(sum(map(len, text.words))), float, 0.558),
    _Feature(
        "abstract nouns",
        lambda text: text.share(sum(bool(_NOUN_FROM_VERB.match(word)) for word in text.words)),
        _stabilise,
        0.083,
    ),
    _Feature("past tense", _measure_past, _stabilise, 0.110),
)
FEATURES = tuple(feature.name for feature in _FEATURES)
# The others count English words, or letters, of which German words have more by far and Chinese ones fewer.
_OF_ANY_LANGUAGE = ("words a sentence", "punctuation", "informal marks")


@dataclass(frozen=True, slots=True)
class FeatureSpreads:
    """How far two texts of one writer typically differ in each feature, in the order of ``FEATURES``."""

    spreads: tuple[float, ...]


GENERAL_SPREADS = FeatureSpreads(tuple(feature.spread for feature in _FEATURES))


def measure_spreads(texts: Sequence[str]) -> FeatureSpreads:
    """Measures the spreads of texts in one style, such as the seeds of a pole.

    The fewer the texts, the closer the result is to ``GENERAL_SPREADS``.
    """
    rows = [_transform_features(text) for text in texts]
    prior = [(PRIOR_SHARE * spread) ** 2 for spread in GENERAL_SPREADS.spreads]
    seen = max(0, len(rows) - 1)
    if not seen:
        return FeatureSpreads(tuple(math.sqrt(value) for value in prior))
    spreads = []
    for column, general in zip(zip(*rows, strict=True), prior, strict=True):
        middle = sum(column) / len(column)
        # Two texts differ by twice the variance of one.
        own = 2 * sum((value - middle) ** 2 for value in column) / seen
        spreads.append(math.sqrt((PRIOR_TEXTS * general + seen * own) / (PRIOR_TEXTS + seen)))
    return FeatureSpreads(tuple(spreads))


def find_drift(
    seed_text: str, text: str, spreads: FeatureSpreads = GENERAL_SPREADS, language: str = "en"
) -> str | None:
    """Describes what differs from the seed's length, wording or style, with both values; None if nothing does.

    Args:
        spreads: the unit of the bounds on style: ``measure_spreads`` of the texts in the seed's style.
        language: a tag of BCP 47; features that are of English alone are compared in English alone.
    """
    return (
        _find_length_drift(seed_text, text)
        or _find_shared_content(seed_text, text, language)
        or _find_feature_drift(seed_text, text, spreads, language)
    )


def compare_voices(seed_text: str, text: str, spreads: FeatureSpreads = GENERAL_SPREADS) -> tuple[float, ...]:
    """Returns each feature's difference from the seed, in spreads, in the order of ``FEATURES``; above 0 is more."""
    pairs = zip(_transform_features(seed_text), _transform_features(text), spreads.spreads, strict=True)
    return tuple((own - seed) / spread for seed, own, spread in pairs)


def measure_distance(one: str, other: str) -> float:
    """Returns how far two texts differ in style: the root mean square over features, in general spreads; 0 is equal."""
    apart = compare_voices(one, other)
    return math.sqrt(sum(value**2 for value in apart) / len(apart))


# To find the seeds nearest in style, each variation of a seed measures all of them.
@lru_cache(maxsize=32_768)
def measure_voice(text: str) -> tuple[float, ...]:
    """Measures the features of a text, in the order of ``FEATURES``.

    They are words per sentence, letters per word, and otherwise counts per word.
    """
    parsed = _parse(text)
    return tuple(feature.measure(parsed) for feature in _FEATURES)


def measure_shared_content(one: str, other: str, language: str = "en") -> float:
    """Returns the share of the shorter text's content words that the other text has too, in [0, 1]."""
    first, second = (set(list_content_words([text], language)) for text in (one, other))
    return len(first & second) / max(1, min(len(first), len(second)))


def _find_length_drift(seed_text: str, text: str) -> str | None:
    seed, own = count_words(seed_text), count_words(text)
    if MIN_LENGTH * seed <= own <= MAX_LENGTH * seed:
        return None
    return f"length: {own} words, the seed has {seed}"


def _find_shared_content(seed_text: str, text: str, language: str) -> str | None:
    share = measure_shared_content(seed_text, text, language)
    if share <= MAX_SHARED_CONTENT:
        return None
    return f"wording: {share:.0%} of the content words are the seed's, at most {MAX_SHARED_CONTENT:.0%} wanted"


def _find_feature_drift(seed_text: str, text: str, spreads: FeatureSpreads, language: str) -> str | None:
    compared = [find_code(language) == "en" or name in _OF_ANY_LANGUAGE for name in FEATURES]
    voices = zip(compare_voices(seed_text, text, spreads), compared, strict=True)
    apart = [abs(value) if counts else 0.0 for value, counts in voices]
    average = math.sqrt(sum(value**2 for value in apart) / sum(compared))
    owns, seeds, words = measure_voice(text), measure_voice(seed_text), len(_parse(text).words)
    # One word more or less is chance, however narrow the spreads are.
    chance = [
        feature.transform is _stabilise and abs(own - seed) * words < ONE_WORD_MARGIN
        for feature, own, seed in zip(_FEATURES, owns, seeds, strict=True)
    ]
    worst = max(range(len(apart)), key=lambda position: (not chance[position], apart[position]))
    if (chance[worst] or apart[worst] <= MAX_FEATURE) and average <= MAX_AVERAGE:
        return None
    own, seed = owns[worst], seeds[worst]
    said = f"{FEATURES[worst]}: {own:.2f}, the seed has {seed:.2f} ({apart[worst]:.1f} spreads apart)"
    return said if apart[worst] > MAX_FEATURE else f"{said}; all together {average:.1f} spreads apart"


def _transform_features(text: str) -> tuple[float, ...]:
    return tuple(feature.transform(value) for feature, value in zip(_FEATURES, measure_voice(text), strict=True))


@lru_cache(maxsize=256)
def _parse(text: str) -> _Text:
    return _Text(text, tuple(split_words(text.replace("’", "'"))))
