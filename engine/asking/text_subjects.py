"""Finds what an author's own texts are about: phrases of theirs, spread as the texts are.

It is KeyBERT's way (Grootendorst 2020, doi 10.5281/zenodo.4461265): of a text's phrases the one that the encoder places
nearest to it is what it is about. Here texts are grouped first, and each group has one phrase. So subjects are as
different as the texts, and a matter of many texts has more of them (docs/decisions/002-subjects.md).
"""

from collections import Counter
from collections.abc import Collection, Iterator, Set
from itertools import groupby

import numpy as np
import regex

from engine.domain.model import Model
from engine.domain.own_texts import OPENING_CHARACTERS
from engine.text.embedding import encode, group_rows, normalise_rows
from engine.text.language import decide_language
from engine.text.words import is_spaceless, list_function_words, normalise, split_words

# Phrases are counted in so many texts; of fewer, so many phrases each and the opening are placed: 4 s of CPU time.
COUNTED, PLACED, PHRASES = 2_000, 300, 12
MAX_SUBJECTS = 96
MAX_WORDS = 3
# From this cosine on two phrases are one subject.
SAME = 0.75
DECIMALS = 6
# What ends a phrase: an address, a name of the net, a contraction ("didn't"), a number, a mark.
_BREAK = regex.compile(r"https?://\S+|[@#]\w+|\b\p{L}+n['’]t\b|[^\p{L}\p{M}\s'’-]+")
_APOSTROPHE = regex.compile(r"['’]")


def find_text_subjects(model: Model, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Finds at most ``MAX_SUBJECTS`` subjects, those of the largest groups of texts first.

    Args:
        model: one in a language that the encoder knows.
        taken: subjects in the form of ``normalise`` that are not to be used.
    """
    function_words = list_function_words(decide_language(model).tag)
    phrases = [_list_phrases(text, function_words) for text in model.texts.drawn[:COUNTED]]
    counts = Counter(phrase for its in phrases for phrase in its)
    # What several texts say comes first.
    own = [sorted(its, key=lambda phrase: -counts[phrase])[:PHRASES] for its in phrases[:PLACED]]
    every = list(dict.fromkeys(phrase for its in own for phrase in its if normalise(phrase) not in taken))
    if not every:
        return ()
    texts = encode([text[:OPENING_CHARACTERS] for text in model.texts.drawn[:PLACED]])
    placed = encode(every)
    owners, centres = group_rows(normalise_rows(texts - texts.mean(axis=0)), MAX_SUBJECTS)
    placed = normalise_rows(placed - placed.mean(axis=0))
    place_of = {phrase: place for place, phrase in enumerate(every)}
    chosen: list[int] = []
    for group, _ in Counter(owners.tolist()).most_common():
        members = np.flatnonzero(owners == group).tolist()
        places = sorted({place_of[phrase] for member in members for phrase in own[member] if phrase in place_of})
        fresh = [place for place in places if not chosen or (placed[chosen] @ placed[place]).max() < SAME]
        if fresh:
            chosen.append(fresh[int(np.argmax(np.round(placed[fresh] @ centres[group], DECIMALS)))])
    return tuple(every[place] for place in chosen)


def _list_phrases(text: str, function_words: Set[str]) -> list[str]:
    """Lists the phrases of two or three content words in a row, each once; where there are none, the words."""
    runs = list(_walk_runs(text, function_words))
    sizes = range(2, MAX_WORDS + 1)
    parts = [run[start : start + size] for run in runs for size in sizes for start in range(len(run) - size + 1)]
    return list(dict.fromkeys(("" if all(map(is_spaceless, part)) else " ").join(part) for part in parts or runs))


def _walk_runs(text: str, function_words: Set[str]) -> Iterator[list[str]]:
    def says_something(word: str) -> bool:
        return word not in function_words and len(word) > (1 if is_spaceless(word) else 2)

    for clause in _BREAK.split(text):
        for says, run in groupby(split_words(_APOSTROPHE.sub(" ", clause)), says_something):
            if says:
                yield list(run)
