"""Extracts subjects from a model's brief and seeds, for planning to draw scenarios from or to leave out."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import regex

from engine.domain.model import Brief
from engine.text.function_words import FUNCTION_WORDS, list_content_words
from engine.text.words import split_words, take_opening

MAX_SUBJECT_WORDS = 6


def name_subjects(texts: Sequence[str]) -> list[str]:
    """Returns the subject of each text: the run of content words that best distinguishes it from the other texts.

    A run's score is the sum of the inverse document frequencies of its words that are longer than two letters, lower
    for later runs. Runs are cut at function words and punctuation, as in RAKE (Rose et al. 2010).
    """
    frequencies = Counter(word for text in texts for word in set(split_words(text)))
    return [_best_run(text, frequencies, len(texts)) for text in texts]


def read_domains(brief: Brief) -> list[str]:
    """Lists the short phrases that a brief gives as its domain, such as "Letters from town halls, tax offices, …"."""
    phrases: list[str] = []
    for text in brief.domain:
        body = text.split(":", 1)[-1]
        for part in re.split(r"[,;.]|\band\b", body):
            phrase = part.strip()
            if 2 <= len(phrase.split()) <= MAX_SUBJECT_WORDS:
                phrases.append(phrase[0].lower() + phrase[1:] if phrase[1:2].islower() else phrase)
    return list(dict.fromkeys(phrases))


def list_shared_words(words: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Lists the different words among ``words`` that the texts use; a plural counts like its singular."""
    return list_used_words(words, find_used_words(texts))


def find_used_words(texts: Sequence[str]) -> frozenset[str]:
    """Returns the different content words of texts in the singular, to hold several lists of words against."""
    return frozenset(_singular(word) for word in list_content_words(texts))


def list_used_words(words: Sequence[str], used: frozenset[str]) -> list[str]:
    """Lists the different words among ``words`` that are used, as ``find_used_words`` gives them."""
    once = {_singular(word): word for word in reversed(words)}
    return [word for word in reversed(once.values()) if _singular(word) in used]


def _best_run(text: str, frequencies: Counter[str], total: int) -> str:
    runs = _content_runs(text)
    if not runs:
        return take_opening(text, 4)
    scored = [(_score(run, frequencies, total) / (1 + position / 8), run) for position, run in enumerate(runs)]
    return " ".join(max(scored, key=lambda pair: pair[0])[1])


def _score(run: Sequence[str], frequencies: Counter[str], total: int) -> float:
    weights = [math.log((1 + total) / (1 + frequencies[word.lower()])) for word in run if len(word) > 2]
    return sum(weights)


def _content_runs(text: str) -> list[list[str]]:
    runs: list[list[str]] = []
    for clause in regex.split(r"[^\w\s'’-]|\d+", text):
        run: list[str] = []
        for word in [*clause.split(), "the"]:
            if word.lower() not in FUNCTION_WORDS and re.search(r"[^\W\d_]", word):
                run.append(word if word.isupper() else word.lower())
            elif run:
                runs.append(run[:3])
                run = []
    return runs


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
