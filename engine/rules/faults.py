"""Find the faults of a single text. Each function returns the detail of its fault, or None without that fault."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from engine.domain.definition import Length, Trait
from engine.domain.language_tag import find_code
from engine.domain.samples import Exemplar
from engine.rules.label_leaks import Run, find_label, find_own_words
from engine.rules.patterns import find_pattern
from engine.text.formatting import count_noun
from engine.text.language import find_other_language
from engine.text.words import (
    COMMON_RUN,
    count_words,
    ends_sentence,
    list_function_words,
    normalise,
    split_words,
    word_runs,
)

# A text may miss its scenario's length by half. C4 drops lines of under 5 words (Raffel et al. 2020, section 2.2).
LENGTH_TOLERANCE = 0.5
MIN_WORDS = 5
# Gopher's limits on the share of characters in the most frequent word n-gram (Rae et al. 2021, table A1), and a limit
# on a single repeated content word ("Click, Click, Click").
REPETITION_LIMITS = {1: 0.25, 2: 0.20, 3: 0.18, 4: 0.16}
# Gopher's limits are meant for documents. In a text of a few sentences, a phrase that occurs twice exceeds them and
# still reads well (as in 34 of 80 usable texts), so phrases of up to three words count from the third occurrence.
MIN_TIMES = {1: 3, 2: 3, 3: 3, 4: 2}
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]|[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Context:
    """The input of the rules for a trait, in addition to the text; it can be pickled.

    ``length`` is None if the text's length is not checked against its scenario. ``lengths`` are the lengths of
    scenarios by name, which replace ``length``. ``instructions`` is the prompt without its shots. ``language`` is a tag
    of BCP 47. ``ends_marked`` is true if the trait's seeds usually end in a terminal mark. ``own_words`` are the
    author's words about the trait. ``waived`` are the names of the patterns that do not apply to the model, ``allowed``
    the codes of the rules that the author has switched off.
    ``min_words`` is the minimum for every text: ``MIN_WORDS``, or fewer if the model's texts are shorter, like titles.
    """

    trait: Trait
    length: Length | None
    subject: str
    instructions: str
    language: str
    ends_marked: bool
    own_words: frozenset[Run] = frozenset()
    waived: frozenset[str] = frozenset()
    allowed: tuple[str, ...] = ()
    min_words: int = MIN_WORDS
    lengths: Mapping[str, Length] = field(default_factory=dict)

    def narrow(self, exemplar: Exemplar) -> "Context":
        """Return the context for one exemplar."""
        scenario = exemplar.scenario
        # A variation's length is checked against its seed's length, together with its voice.
        length = None if exemplar.seed_sha256 else self.lengths.get(scenario.length, self.length)
        return replace(self, subject=scenario.subject, length=length)


def find_unreadable(text: str, context: Context) -> str | None:
    """Find no words, broken characters, or a phrase that makes up too much of the text."""
    if not text.strip():
        return "an empty text"
    if CONTROL.search(text):
        return "control characters or broken Unicode"
    words = split_words(text)
    if not words:
        return "no words"
    repeated = (
        f"{phrase!r} makes up {share:.0%} of the text"
        for size, share, phrase in _list_repetitions(words, context.language)
        if share > REPETITION_LIMITS[size]
    )
    return next(repeated, None)


def find_refusal(text: str, context: Context) -> str | None:
    """Find a refusal to write."""
    return find_pattern(text, "refused", context.waived)


def find_echo(text: str, context: Context) -> str | None:
    """Find a label of the prompt, the subject and nothing else, or a sentence of the instructions."""
    if label := find_pattern(text, "prompt_echo", context.waived):
        return label
    if normalise(text) == normalise(context.subject):
        return "the subject and nothing else"
    common = word_runs(text, COMMON_RUN) & _list_runs(context.instructions)
    return " ".join(min(common)) if common else None


def find_meta_talk(text: str, context: Context) -> str | None:
    """Find talk about the text in place of the text."""
    return find_pattern(text, "meta_talk", context.waived)


def find_placeholder(text: str, context: Context) -> str | None:
    """Find a gap to be filled in."""
    return find_pattern(text, "placeholder", context.waived)


def find_leak(text: str, context: Context) -> str | None:
    """Find a label of the trait, or a run of the author's words about the trait."""
    if label := find_label(text, context.trait):
        return label
    run = find_own_words(text, context.own_words, context.language)
    return f"words of the definition: {run}" if run else None


def find_missing_end(text: str, context: Context) -> str | None:
    """Find an end without a terminal mark, if the trait's seeds usually have one."""
    return f"ends in {text.rstrip()[-20:]!r}" if context.ends_marked and not ends_sentence(text) else None


def find_too_few_words(text: str, context: Context) -> str | None:
    """Find far fewer words than the text's length asks for, or fewer than the minimum of every text."""
    words, least = count_words(text), float(context.min_words)
    if context.length:
        least = max(least, context.length.min_words * LENGTH_TOLERANCE)
    return f"{count_noun(words, 'word')}, at least {least:g} wanted" if words < least else None


def find_too_many_words(text: str, context: Context) -> str | None:
    """Find far more words than the text's length allows."""
    if not context.length:
        return None
    words, most = count_words(text), context.length.max_words * (1 + LENGTH_TOLERANCE)
    return f"{count_noun(words, 'word')}, at most {most:g} wanted" if words > most else None


def find_wrong_language(text: str, context: Context) -> str | None:
    """Find another language than the model's."""
    other = find_other_language(text, context.language)
    return f"{other}, expected {context.language}" if other else None


@lru_cache(maxsize=4)
def _list_runs(instructions: str) -> frozenset[tuple[str, ...]]:
    """Return the runs of words, cached: they are the same for every text, and take 0.2 ms to list."""
    return word_runs(instructions, COMMON_RUN)


def _list_repetitions(words: list[str], language: str) -> Iterator[tuple[int, float, str]]:
    """Yield, for each size, the most repeated phrase with its size and its share of the characters.

    Phrases that consist of function words count in English only, for which Gopher's limits were set, and there only
    from two words: the ending of a polite Japanese verb is four of ICU's words.
    """
    function_words, is_english = list_function_words(language), find_code(language) == "en"
    characters = sum(map(len, words))
    for size in REPETITION_LIMITS:
        ignored = frozenset[str]() if is_english and size > 1 else function_words
        grams = Counter(tuple(words[start : start + size]) for start in range(len(words) - size + 1))
        repeated = [
            (times * sum(map(len, gram)), gram)
            for gram, times in grams.items()
            if times >= MIN_TIMES[size] and not ignored.issuperset(gram)
        ]
        if repeated:
            length, gram = max(repeated)
            yield size, length / characters, " ".join(gram)
