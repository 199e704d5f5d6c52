"""Decide the language of a model's texts, and find texts in another language.

The script of a text determines most languages. Languages with one script are separated by py3langid, if it is sure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import regex

from engine.domain.language_tag import are_close, find_code, find_script, name_script, name_tag
from engine.domain.model import POLES, Model
from engine.text.embedding import ENCODER_LANGUAGES
from engine.text.words import count_words

# On texts with fewer words the identifier guesses (py3langid's own note on short texts): commands and names mislead it.
MIN_WORDS = 6
# Minimum words of all seeds or labels of a model together. They may be shorter than a text: see SURE.
MIN_WORDS_IN_COMMON = 4
# A text with fewer letters than this has no clear script.
MIN_LETTERS = 8
# A text is in another language if the expected language has a probability below DOUBTFUL and another one above SURE.
# None of 1,814 runs of four words from the catalogue's seeds was surely in another language than English.
DOUBTFUL = 0.05
SURE = 0.9
# If a lower share of letters is in the expected script, a text is in another one. Foreign names are too few for that.
MIXED_SHARE = 0.3
MAIN_SHARE = 0.5
# A text in Han letters is Japanese if it has a share of kana above this, otherwise Chinese.
KANA_SHARE = 0.05
# A character of a dense script carries as much information as this many letters of an alphabet.
DENSE_LETTERS = 3
# Limits on the sampled texts and on the characters of each: py3langid is less sure of more than 2,000 characters.
MAX_TEXTS = 20
MAX_CHARACTERS = 100

_LETTER = regex.compile(r"\p{L}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
# Unicode's scripts for the codes of ISO 15924 that denote a writing system.
_WRITTEN_IN = {"Jpan": ("Han", "Hiragana", "Katakana"), "Hans": ("Han",), "Hant": ("Han",), "Kore": ("Hangul",)}
_DENSE = frozenset(("Han", "Hiragana", "Katakana", "Hangul"))


@dataclass(frozen=True, slots=True)
class Language:
    """The required language of a model's texts, as a tag of BCP 47, with the reason in ``why``."""

    tag: str = "en"
    why: str = "nothing in the model indicates another language"

    @property
    def name(self) -> str:
        """Return the English name, for prompts and notes: "Portuguese (Brazil)"."""
        return name_tag(self.tag)

    @property
    def code(self) -> str:
        """Return the code of ISO 639, without script and region, for the rules."""
        return find_code(self.tag)

    @property
    def encoder_supports_language(self) -> bool:
        """Return whether the sentence encoder was trained on the language, so that its vectors are meaningful."""
        return self.code in ENCODER_LANGUAGES


ENGLISH = Language()


def decide_language(model: Model) -> Language:
    """Return a model's language, from ``model.yaml``, else seeds, texts, labels and descriptions, brief, or English."""
    if model.language:
        return Language(model.language, "model.yaml says so")
    for texts, why in _list_evidence(model):
        if code := detect_language(texts):
            return Language(code, why)
    return Language()


def detect_language(texts: Sequence[str]) -> str | None:
    """Return the code of ISO 639 of the common language of texts; None if it is not sure."""
    sampled = texts[:: max(1, len(texts) // MAX_TEXTS)]
    return _detect(" ".join(text[:MAX_CHARACTERS] for text in sampled))


def find_other_language(text: str, expected: str) -> str | None:
    """Return the code of a text's language if it is surely not the expected language; None if there is any doubt.

    If the text is in another script and its language is not sure, the name of the script is returned.

    Args:
        expected: a tag of BCP 47.
    """
    if not (letters := _weigh(text)):
        return None
    total, main = sum(letters.values()), max(letters, key=lambda script: letters[script])
    matching = sum(letters.get(script, 0) for script in _list_scripts(expected))
    if matching < MIXED_SHARE * total:
        return _detect(text) or f"{name_script(main)} script"
    if matching < MAIN_SHARE * total or count_words(text) < MIN_WORDS:
        return None
    code = find_code(expected)
    if code in ("ja", "zh"):
        other = _detect_han(text)
        return other if other != code else None
    ranks = _rank(text, main)
    # If the identifier does not know the expected language in this script, the text is in doubt.
    return _find_sure(ranks) if code in ranks and _add_close(ranks, code) < DOUBTFUL else None


@cache
def load_identifier() -> Any:
    """Return the identifier for languages with one script, loaded once because loading takes a moment."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _list_evidence(model: Model) -> Iterator[tuple[list[str], str]]:
    yield [seed.text for seed in model.draw_seeds()], "the seeds are"
    yield list(model.texts.drawn[:MAX_TEXTS]), "the texts without labels are"
    traits = [text for trait in model.traits for text in (trait.name, *trait.descriptions)]
    labels = [trait.label(pole) for trait in model.traits for pole in POLES]
    yield [model.description, *traits, *labels], "labels and descriptions are"
    yield list(model.brief.in_scope), "the brief is"


def _detect(text: str) -> str | None:
    if not (letters := _weigh(text)):
        return None
    main = max(letters, key=lambda script: letters[script])
    if main in ("Han", "Hiragana", "Katakana"):
        return _detect_han(text)
    if letters[main] < MAIN_SHARE * sum(letters.values()):
        return None
    ranks = _rank(text, main)
    if len(ranks) > 1 and count_words(text) < MIN_WORDS_IN_COMMON:
        return None
    return _find_sure(ranks)


def _find_sure(ranks: Mapping[str, float]) -> str | None:
    """Return the likeliest language if it and its close languages together are sure."""
    best = max(ranks, key=lambda code: ranks[code], default=None)
    return best if best and _add_close(ranks, best) > SURE else None


def _add_close(ranks: Mapping[str, float], code: str) -> float:
    return sum(share for other, share in ranks.items() if other == code or are_close(other, code))


def _detect_han(text: str) -> str:
    kana = len(_KANA.findall(text))
    return "ja" if kana > KANA_SHARE * len(_LETTER.findall(text)) else "zh"


def _weigh(text: str) -> Mapping[str, int]:
    """Count the letters of a text by script, weighted by their information; empty if there are too few letters."""
    if text.isascii():
        letters = {"Latn": sum(map(str.isalpha, text))}
    else:
        counts = {script: len(pattern.findall(text)) for script, pattern in _patterns().items()}
        letters = {script: count * (DENSE_LETTERS if script in _DENSE else 1) for script, count in counts.items()}
    return letters if sum(letters.values()) >= MIN_LETTERS else {}


def _rank(text: str, script: str) -> Mapping[str, float]:
    """Return the probabilities of all languages of a script; the sum is 1, and dialects count for their language."""
    ranks: dict[str, float] = {}
    for code, share in load_identifier().rank(text):
        if script in _list_scripts(str(code)):
            language = find_code(str(code))
            ranks[language] = ranks.get(language, 0.0) + float(share)
    total = sum(ranks.values()) or 1.0
    return {code: share / total for code, share in ranks.items()}


@cache
def _list_scripts(tag: str) -> tuple[str, ...]:
    script = find_script(tag)
    return _WRITTEN_IN.get(script, (script,))


@cache
def _patterns() -> Mapping[str, Any]:
    codes = sorted({str(code) for code in load_identifier().nb_classes})
    scripts = dict.fromkeys(script for code in codes for script in _list_scripts(code))
    return {script: regex.compile(rf"(?V1)[\p{{Script={script}}}&&\p{{L}}]") for script in scripts}
