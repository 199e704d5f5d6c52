"""Finds labels, and the author's own words about a trait, in a text: a scorer would learn them and not the trait."""

import re
import unicodedata
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import chain

from engine.domain.model import Model, Trait
from engine.screening.patterns import MOST_SEEDS
from engine.text.function_words import list_content_words
from engine.text.words import COMMON_RUN, normalise, word_runs

# Four content words in a row are not chance: of 5,654 real texts one shared three with one of 21 traits, none four
# (docs/decisions/030-what-gives-a-pole-away.md).
CONTENT_RUN = 4
# Words are compared by so many letters, so that "insults" is "insult": truncation, which needs no stemmer of the
# language (McNamee et al. 2009, "Addressing morphological variation in alphabetic languages").
STEM_LETTERS = 5
# Words with which people begin and end texts whatever they are about. One of them as a label tells the pole only as a
# heading, or in brackets; where it opens most texts of one pole, the search for shortcuts finds it.
_PARTICLES = frozenset(
    "yes no true false ok okay ja nein oui non si sí não sim da nie tak evet hayır да нет はい いいえ 是 否 对 不 "
    "네 아니요 हाँ हां नहीं نعم لا".split()
)
_MARK = r"(?:\s*[.,!?;:…—–|。、،؛؟।॥]|\s+-|-\s|\s*[\r\n])"
_OPEN, _CLOSE = r"[(\[{<（【〔「『]", r"[)\]}>）】〕」』]"
_WRAP = r"[\"'“”’»*_`~)\]}）】」』]*"
# Bounded, so that a reply of nothing but brackets or dashes costs no more time than any other.
_FEW = r"[\W_]{0,12}"
_NOT = r"(?:(?:not|non|nicht|kein\w*|pas|no|niet|nie|не|غير)[\s-]+|[不非])?"
_FIELDS = (
    "label|rating|tone|verdict|category|class|sentiment|score|pole|quality|style|bewertung|ton|étiquette|etiqueta"
    "|tono|etichetta|ラベル|标签|標籤"
)


@dataclass(frozen=True, slots=True)
class OwnWords:
    """Runs of words in what the author says about a trait: of content words' beginnings, and of all words.

    ``language`` is the code of ISO 639 whose function words are no content.
    """

    content: frozenset[tuple[str, ...]] = frozenset()
    whole: frozenset[tuple[str, ...]] = frozenset()
    language: str = "en"

    def find(self, text: str) -> str | None:
        """Finds a run that a text shares; None if it shares none."""
        for words in _list_content_runs(text, self.language):
            if _cut(words) in self.content:
                return " ".join(words)
        shared = self.whole & word_runs(text, COMMON_RUN)
        return " ".join(min(shared)) if shared else None


NO_OWN_WORDS = OwnWords()


def collect_own_words(model: Model, trait: Trait, language: str) -> OwnWords:
    """Collects the runs of a trait's description and paraphrases and of the brief, but for those of the seeds.

    What a topic or a claim is called and says belongs into its texts, so only ``COMMON_RUN`` words in a row of their
    description and paraphrases count.
    """
    own = (trait.description, *trait.positive_paraphrase, *trait.negative_paraphrase)
    told = list(chain.from_iterable(getattr(model.brief, item.name) for item in fields(model.brief)))
    texts, whole = (told, own) if trait.type in ("topic", "claim") else ([*own, *told], ())
    content = frozenset(_cut(words) for text in texts for words in _list_content_runs(text, language))
    all_words = frozenset(chain.from_iterable(word_runs(text, COMMON_RUN) for text in whole))
    for seed in model.sample_seeds(MOST_SEEDS) if content or all_words else ():
        content -= {_cut(words) for words in _list_content_runs(seed.text, language)}
        all_words -= word_runs(seed.text, COMMON_RUN)
    return OwnWords(content, all_words, language)


def find_label(text: str, trait: Trait) -> str | None:
    """Says where a text names a label of a trait; None if it does not.

    A label leaks at the start before a mark, in brackets at either end, and alone in the last sentence or line; one of
    a spectrum or an outlier also next to the trait's name, and one of several words anywhere. The labels of a topic or
    claim name what its texts are about.
    """
    shown = unicodedata.normalize("NFKC", text)
    for label in (trait.positive_label, trait.negative_label):
        word = normalise(label)
        if not word:
            continue
        starts, ends = _compile_places(label, trait.name)
        if starts.search(shown):
            return f"begins with the label {label!r}"
        if ends.search(shown):
            return f"ends with the label {label!r}"
        if trait.type not in ("topic", "claim") and _is_named(normalise(text), word, normalise(trait.name)):
            return f"names the label {label!r}"
    return None


def _is_named(form: str, word: str, name: str) -> bool:
    beside = rf"\b(?:{re.escape(name)} (?:\w+ ){{0,2}}{re.escape(word)}|{re.escape(word)} {re.escape(name)})\b"
    return bool(re.search(beside, form)) or (len(word.split()) > 1 and f" {word} " in f" {form} ")


@lru_cache(maxsize=256)
def _compile_places(label: str, name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compiles where a label leaks at the start and at the end of a text."""
    shown = unicodedata.normalize("NFKC", label)
    word = r"\s+".join(re.escape(part) for part in shown.split())
    fields = "|".join((_FIELDS, re.escape(unicodedata.normalize("NFKC", name))))
    field = rf"(?:{fields})\s*[:=–—-]{_FEW}"
    particle = normalise(label) in _PARTICLES
    # An inflected form is a heading too: "Rudely:", "Unhöfliche:". A word of that form before a comma is none.
    bent = rf"{word}(?:e[nmrs]?|s|ly|ness)?" if len(shown) >= 4 and word[-1].isalpha() else word
    # A hyphen with no space beside it makes another word: "Clear-cut", "No-one".
    starts = [rf"{_NOT}{bent}{_WRAP}\s*[:|]", rf"{field}{_NOT}{word}{_WRAP}(?:{_MARK}|$)"]
    ends = [rf"{_OPEN}{_FEW}(?:{field})?{_NOT}{bent}{_FEW}{_CLOSE}{_FEW}$", rf"(?:^|[\W_]){field}{_NOT}{word}{_FEW}$"]
    if not particle:
        starts.append(rf"{_NOT}{word}{_WRAP}{_MARK}")
        ends.append(rf"(?:[.!?…。\n\r]|\s[–—-]){_FEW}{_NOT}{word}{_FEW}$")
    bracketed = rf"^[\s\"'“”*_>#]*{_OPEN}{_FEW}(?:{field})?{_NOT}{bent}{_FEW}{_CLOSE}"
    start = rf"{bracketed}|^[\W_]*(?:{'|'.join(starts)})"
    return re.compile(start, re.IGNORECASE), re.compile("|".join(ends), re.IGNORECASE)


def _list_content_runs(text: str, language: str) -> list[tuple[str, ...]]:
    words = list_content_words([text], language)
    return [tuple(words[start : start + CONTENT_RUN]) for start in range(len(words) - CONTENT_RUN + 1)]


def _cut(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word[:STEM_LETTERS].removesuffix("s") for word in words)
