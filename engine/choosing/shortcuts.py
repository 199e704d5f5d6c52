"""Find shortcuts: features simpler than the whole text that separate the poles, so that a classifier would learn them.

The AUCs of length, punctuation, the subject, the opening word and single words are each compared with the probe's AUC
on the whole text.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import regex

from engine.axis.separation import rank_auc, score_held_out
from engine.choosing.probe import MIN_TEXTS, measure_chance_error
from engine.domain.definition import Pole, TraitType
from engine.domain.model import DEFINED_BY_WORDS, POLES
from engine.domain.samples import Exemplar
from engine.text.embedding import Embedder
from engine.text.words import count_words, split_words

Kind = Literal["length", "punctuation", "subject", "opening", "word"]

# A feature with at least this AUC is a shortcut for any AUC of the whole text (also the gate's limit for lengths).
STRONG_AUC = 0.8
# A feature with at least this AUC is a shortcut if the whole text has no higher AUC.
WEAK_AUC = 0.7
# Minimum distance from chance in standard errors: a dozen features are tried, and hundreds of words (``WORD_ERRORS``).
FEATURE_ERRORS = 2.5
# An opening word is a shortcut if the shares of texts that it opens at the two poles differ by at least this share, and
# if the probability of this by chance, by Fisher's exact test (1922), is at most this. At eight texts a pole the
# smallest differences are five to none (.026), seven to one (.010) and eight to two (.007); four to none is .077.
OPENING_SHARE = 0.5
OPENING_CHANCE = 0.03
WORD_ERRORS = 4.0
MARK_PATTERNS: Mapping[str, regex.Pattern[str]] = {
    "exclamation marks": regex.compile(r"[!！]"),
    "question marks": regex.compile(r"[?？؟]"),
    "commas and semicolons": regex.compile(r"[,;:、，；：،؛]"),
    "quotation marks and brackets": regex.compile(r"[\"“”„«»()\[\]`「」『』（）]"),
    "digits": regex.compile(r"\d"),
    "capitals": regex.compile(r"\b\p{Lu}{2,}\b"),
}


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One feature that separates a trait's poles.

    ``pole`` is the pole with more of the feature, ``auc`` is in [.5, 1]. ``words`` is the range of lengths that both
    poles have; (0, 0) unless the feature is the length.
    """

    trait: str
    kind: Kind
    what: str
    pole: Pole
    auc: float
    words: tuple[int, int] = (0, 0)

    def describe(self, label: str) -> str:
        """Describe the shortcut in a clause; ``label`` is the label of its pole."""
        clauses = {
            "length": f"the number of words alone separates the poles: more of them in {label!r}",
            "punctuation": f"{self.what} alone separate the poles: more of them in {label!r}",
            "subject": "the subjects alone separate the poles",
            "opening": f"the first word alone separates the poles: {self.what!r} at {label!r}",
            "word": f"one word alone separates the poles: {self.what!r} at {label!r}",
        }
        return f"{clauses[self.kind]} (AUC {self.auc:.2f})"

    @property
    def is_in_single_texts(self) -> bool:
        """Return whether single texts carry the shortcut, so that they can be replaced; other kinds need many texts."""
        return self.kind in ("word", "opening", "length")

    def appears_in(self, text: str) -> bool:
        """Return whether a text carries the shortcut: it has the word, or a length outside the shared range."""
        if self.kind == "word":
            return self.what in split_words(text)
        if self.kind == "opening":
            return split_words(text)[:1] == [self.what]
        return self.kind == "length" and not self.words[0] <= count_words(text) <= self.words[1]


def find_shortcuts(
    trait: str, kind: TraitType, exemplars: Sequence[Exemplar], text_auc: float | None, embedder: Embedder | None
) -> tuple[Shortcut, ...]:
    """Find the shortcuts of one trait's exemplars, the strongest first.

    Args:
        text_auc: the probe's AUC on the whole text; None if there are too few texts, and then no shortcuts are found.
        embedder: None if the encoder does not support the language: then subjects are not compared, and only features
            with at least ``STRONG_AUC`` are shortcuts.
    """
    if embedder is None:
        text_auc = 1.0
    sizes = Counter(exemplar.pole for exemplar in exemplars)
    if text_auc is None or min(sizes[pole] for pole in POLES) < MIN_TEXTS:
        return ()
    by_words = kind in DEFINED_BY_WORDS
    features = [*_check_features(trait, exemplars, None if by_words else embedder)]
    features += () if by_words else _check_words(trait, "word", exemplars, sizes)
    strong = [item for item in features if item.auc >= STRONG_AUC or (item.auc >= WEAK_AUC and item.auc >= text_auc)]
    strong += _check_words(trait, "opening", exemplars, sizes)
    return tuple(sorted(strong, key=lambda item: (-item.auc, item.kind, item.what)))


def match_lengths(exemplars: Sequence[Exemplar]) -> tuple[int, int]:
    """Return the range of lengths in words that both poles have.

    It reaches from the higher of their first quartiles to the lower of their third quartiles. If the poles' ranges do
    not overlap, it is the gap between them.
    """
    words = ([count_words(item.text or "") for item in exemplars if item.pole == pole] for pole in POLES)
    quartiles = [np.quantile(counts, [0.25, 0.75]) for counts in words]
    low, high = max(item[0] for item in quartiles), min(item[1] for item in quartiles)
    return math.floor(min(low, high)), math.ceil(max(low, high))


def measure_chance(counts: Mapping[Pole, int], sizes: Mapping[Pole, int]) -> float:
    """Return the probability that chance alone divides a feature between the poles at least as unevenly (Fisher 1922).

    This is the two-sided exact test: the sum of all hypergeometric probabilities not above the one of these counts.
    """
    count, total = sum(counts.values()), sum(sizes.values())
    one, other = sizes["positive"], sizes["negative"]
    ways = {part: math.comb(one, part) * math.comb(other, count - part) for part in range(count + 1)}
    return sum(number for number in ways.values() if number <= ways[counts["positive"]]) / math.comb(total, count)


def _check_features(trait: str, exemplars: Sequence[Exemplar], embedder: Embedder | None) -> Iterator[Shortcut]:
    """Yield the features with an AUC beyond chance, by the standard error of Mann and Whitney's statistic."""
    positive = [exemplar.pole == "positive" for exemplar in exemplars]
    error = measure_chance_error(positive)
    for kind, what, scores in _score_features(exemplars, positive, embedder):
        auc = rank_auc(scores, positive) or 0.0
        pole: Pole = "positive" if auc > 0.5 else "negative"
        # An axis of subjects separates the poles only if it orders them correctly.
        if abs(auc - 0.5) >= FEATURE_ERRORS * error and (kind != "subject" or pole == "positive"):
            words = match_lengths(exemplars) if kind == "length" else (0, 0)
            yield Shortcut(trait, kind, what, pole, round(max(auc, 1 - auc), 4), words)


def _score_features(
    exemplars: Sequence[Exemplar], positive: Sequence[bool], embedder: Embedder | None
) -> Iterator[tuple[Kind, str, Sequence[float]]]:
    """Yield each feature with its kind and the texts' scores.

    Subjects are scored on an axis that is fit to them, not to the texts. It finds nothing if pairs share their subject.
    """
    counts = [count_words(exemplar.text or "") for exemplar in exemplars]
    yield "length", "words", counts
    for what, pattern in MARK_PATTERNS.items():
        marks = [len(pattern.findall(exemplar.text or "")) for exemplar in exemplars]
        yield "punctuation", what, [mark / max(1, count) for mark, count in zip(marks, counts, strict=True)]
    if embedder:
        vectors = embedder.embed([exemplar.scenario.subject for exemplar in exemplars])
        groups = [exemplar.pair_id for exemplar in exemplars]
        yield "subject", "subjects", score_held_out(vectors, positive, groups).tolist()


def _check_words(
    trait: str, kind: Literal["word", "opening"], exemplars: Sequence[Exemplar], sizes: Mapping[Pole, int]
) -> Iterator[Shortcut]:
    """Yield the words, or first words, that are more frequent at one pole than chance allows.

    For words, chance is measured by the standard error of a difference of shares. The AUC of a feature that a text has
    or has not is .5 + half the difference of its shares at the two poles.
    """
    texts = {pole: Counter[str]() for pole in POLES}
    for item in exemplars:
        words = split_words(item.text or "")
        texts[item.pole].update(set(words) if kind == "word" else words[:1])
    for word in texts["positive"] | texts["negative"]:
        counts = {pole: texts[pole][word] for pole in POLES}
        difference = counts["positive"] / sizes["positive"] - counts["negative"] / sizes["negative"]
        if kind == "word":
            mean = sum(counts.values()) / sum(sizes.values())
            error = math.sqrt(mean * (1 - mean) * sum(1 / sizes[pole] for pole in POLES))
            differs = error > 0 and abs(difference) >= WORD_ERRORS * error - 1e-9
        else:
            differs = abs(difference) >= OPENING_SHARE and measure_chance(counts, sizes) <= OPENING_CHANCE
        if differs:
            pole: Pole = "positive" if difference > 0 else "negative"
            yield Shortcut(trait, kind, word, pole, round(0.5 + abs(difference) / 2, 4))
