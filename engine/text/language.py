"""Decide the language of a model's texts, and finds texts that are in another one.

The script of a text tells most languages. Among those that share a script py3langid does, and only when it is sure.
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

# On shorter texts the identifier guesses (py3langid's own note on short texts): commands and names mislead it.
MIN_WORDS = 6
# The seeds or labels of a model, all together, may be shorter: see SURE.
MIN_WORDS_IN_COMMON = 4
# A text with fewer letters than this tells no script.
MIN_LETTERS = 8
# A text is in another language when the expected one has a probability below DOUBTFUL and another one above SURE. Of
# 1,814 runs of four words from the catalogue's seeds none was surely in another language than English.
DOUBTFUL = 0.05
SURE = 0.9
# A text is in another script when fewer of its letters than MIXED_SHARE are of its language's: foreign names are not.
MIXED_SHARE = 0.3
MAIN_SHARE = 0.5
# A Japanese text without any kana is Chinese, and a Chinese one with as many as this Japanese.
KANA_SHARE = 0.05
# A character says as much as so many letters of an alphabet.
DENSE_LETTERS = 3
# So many texts at most, and so much of each, are looked at: py3langid is less sure of more than 2,000 characters.
MAX_TEXTS = 20
MAX_CHARACTERS = 100

_LETTER = regex.compile(r"\p{L}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
# What the codes of ISO 15924 for a way of writing stand for, in Unicode's scripts.
_WRITTEN_IN = {"Jpan": ("Han", "Hiragana", "Katakana"), "Hans": ("Han",), "Hant": ("Han",), "Kore": ("Hangul",)}
_DENSE = frozenset(("Han", "Hiragana", "Katakana", "Hangul"))


@dataclass(frozen=True, slots=True)
class Language:
    """The language that a model's texts are to have; ``tag`` is of BCP 47, ``why`` says what decided."""

    tag: str = "en"
    why: str = "nothing in the model tells another"

    @property
    def name(self) -> str:
        """Its English name, for prompts and notes: "Portuguese (Brazil)"."""
        return name_tag(self.tag)

    @property
    def code(self) -> str:
        """Its code of ISO 639, without script and region, by which the rules call it."""
        return find_code(self.tag)

    @property
    def encoder_supports_language(self) -> bool:
        """Return whether the sentence encoder was trained on it, so that its vectors mean something."""
        return self.code in ENCODER_LANGUAGES


ENGLISH = Language()


def decide_language(model: Model) -> Language:
    """Decide a model's language: by ``model.yaml``, else seeds, texts, labels and descriptions, the brief, English."""
    if model.language:
        return Language(model.language, "model.yaml says so")
    for texts, why in _list_evidence(model):
        if code := detect_language(texts):
            return Language(code, why)
    return Language()


def detect_language(texts: Sequence[str]) -> str | None:
    """Detect the language that texts have in common: its code of ISO 639, or None if it is not sure."""
    shown = texts[:: max(1, len(texts) // MAX_TEXTS)]
    return _detect(" ".join(text[:MAX_CHARACTERS] for text in shown))


def find_other_language(text: str, expected: str) -> str | None:
    """Return the code of a text's language if it is surely not the expected one; None where there is any doubt.

    Where only the script tells that it is another one, its name is returned instead.

    Args:
        expected: a tag of BCP 47.
    """
    if not (letters := _weigh(text)):
        return None
    total, main = sum(letters.values()), max(letters, key=lambda script: letters[script])
    own = sum(letters.get(script, 0) for script in _list_scripts(expected))
    if own < MIXED_SHARE * total:
        return _detect(text) or f"{name_script(main)} script"
    if own < MAIN_SHARE * total or count_words(text) < MIN_WORDS:
        return None
    code = find_code(expected)
    if code in ("ja", "zh"):
        other = _tell_han(text)
        return other if other != code else None
    ranks = _rank(text, main)
    # Of a language that the identifier does not know in this script nothing can be told.
    return _find_sure(ranks) if code in ranks and _add_close(ranks, code) < DOUBTFUL else None


@cache
def load_identifier() -> Any:
    """Load what tells languages of one script apart, which takes a moment."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _list_evidence(model: Model) -> Iterator[tuple[list[str], str]]:
    yield [seed.text for seed in model.draw_seeds()], "the seeds are"
    yield list(model.texts.drawn[:MAX_TEXTS]), "the texts without labels are"
    traits = [text for trait in model.traits for text in (trait.name, *trait.descriptions)]
    labels = [trait.label(pole) for trait in model.traits for pole in POLES]
    yield [model.description, *traits, *labels], "labels and descriptions are"
    yield list(model.brief.wanted), "the brief is"


def _detect(text: str) -> str | None:
    if not (letters := _weigh(text)):
        return None
    main = max(letters, key=lambda script: letters[script])
    if main in ("Han", "Hiragana", "Katakana"):
        return _tell_han(text)
    if letters[main] < MAIN_SHARE * sum(letters.values()):
        return None
    ranks = _rank(text, main)
    if len(ranks) > 1 and count_words(text) < MIN_WORDS_IN_COMMON:
        return None
    return _find_sure(ranks)


def _find_sure(ranks: Mapping[str, float]) -> str | None:
    """Return the likeliest language where it and those close to it are sure among all."""
    best = max(ranks, key=lambda code: ranks[code], default=None)
    return best if best and _add_close(ranks, best) > SURE else None


def _add_close(ranks: Mapping[str, float], code: str) -> float:
    return sum(share for other, share in ranks.items() if other == code or are_close(other, code))


def _tell_han(text: str) -> str:
    kana = len(_KANA.findall(text))
    return "ja" if kana > KANA_SHARE * len(_LETTER.findall(text)) else "zh"


def _weigh(text: str) -> Mapping[str, int]:
    """Return the letters of a text by script, weighted by how much they say; nothing for too few."""
    if text.isascii():
        letters = {"Latn": sum(map(str.isalpha, text))}
    else:
        counts = {script: len(pattern.findall(text)) for script, pattern in _patterns().items()}
        letters = {script: count * (DENSE_LETTERS if script in _DENSE else 1) for script, count in counts.items()}
    return letters if sum(letters.values()) >= MIN_LETTERS else {}


def _rank(text: str, script: str) -> Mapping[str, float]:
    """Return the probabilities of all languages of a script, which add up to 1; dialects count for their language."""
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
