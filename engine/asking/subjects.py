"""Names the subjects of texts, for planning to draw scenarios from or to leave out."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import regex

from engine.text.words import FUNCTION_WORDS, list_content_words, split_words, take_opening


def name_subjects(texts: Sequence[str]) -> list[str]:
    """Returns the subject of each text: the run of content words that best distinguishes it from the other texts.

    A run's score is the sum of the inverse document frequencies of its words that are longer than two letters, lower
    for later runs. Runs are cut at function words and punctuation, as in RAKE (Rose et al. 2010).
    """
    frequencies = Counter(word for text in texts for word in set(split_words(text)))
    return [_best_run(text, frequencies, len(texts)) for text in texts]


def list_shared_words(words: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Lists the different words among ``words`` that the texts use; a plural counts like its singular."""
    used = {_singular(word) for word in list_content_words(texts)}
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
