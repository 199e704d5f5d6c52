"""Find what an author's own texts are about: phrases of theirs, spread as the texts are.

It is KeyBERT's way (Grootendorst 2020, doi 10.5281/zenodo.4461265): of a text's phrases the one that the encoder places
nearest to it is what it is about. Here texts are grouped first, and each group has one phrase. So subjects are as
different as the texts, and a matter of many texts has more of them (docs/decisions/002-subjects.md).
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from itertools import groupby

import numpy as np
import regex

from engine.domain.language_tag import find_code
from engine.domain.model import Model
from engine.domain.unlabelled_texts import OPENING_CHARACTERS
from engine.text.embedding import encode, group_rows, normalise_rows
from engine.text.language import decide_language
from engine.text.words import is_spaceless, list_common_words, list_function_words, normalise, split_words

# Phrases are counted in so many texts; of fewer, so many phrases each and the opening are placed: 4 s of CPU time.
COUNTED, PLACED, PHRASES = 2_000, 300, 12
MAX_SUBJECTS = 96
MAX_WORDS = 3
# Texts that give fewer subjects that are noun phrases, such as notes without articles, give phrases of any kind.
LEAST_SUBJECTS = 8
# The words that a noun phrase follows, by language. In other languages noun phrases are not told from others.
DETERMINERS: Mapping[str, Set[str]] = {
    "en": frozenset("a an the this these my your his her its our their no some any each every another".split()),
    "de": frozenset("der die das den dem des ein eine einen einem einer eines am im zum zur vom beim ins ans".split()),
    "es": frozenset("el la los las un una unos unas del al este esta estos estas mi mis su sus cada".split()),
    "fr": frozenset("le la les l un une des du au aux d ce cet cette ces mon ma mes son sa ses leur leurs".split()),
}
# From this cosine on two phrases are one subject.
SAME = 0.75
DECIMALS = 6
# What ends a phrase: an address, a name of the net, a contraction ("didn't"), a number, a mark.
_BREAK = regex.compile(r"https?://\S+|[@#]\w+|\b\p{L}+n['’]t\b|[^\p{L}\p{M}\s'’-]+")
_APOSTROPHE = regex.compile(r"['’]")
# A word that is capitalised within a sentence, as each noun is in German.
_CAPITALISED = regex.compile(r"(?<=[\p{L},] )\p{Lu}[\p{L}-]+")


def find_text_subjects(model: Model, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Find at most ``MAX_SUBJECTS`` subjects, those of the largest groups of texts first.

    Args:
        model: one in a language that the encoder knows.
        taken: subjects in the form of ``normalise`` that are not to be used.
    """
    drawn, language = model.texts.drawn[:COUNTED], decide_language(model).tag
    subjects = _choose_phrases(drawn, list_noun_phrases(drawn, language), taken)
    if len(subjects) >= LEAST_SUBJECTS:
        return subjects
    function_words = list_function_words(language)
    return _choose_phrases(drawn, [_list_content_phrases(text, function_words) for text in drawn], taken)


def list_noun_phrases(texts: Sequence[str], language: str) -> list[list[str]]:
    """List the noun phrases of each text by the words next to them; none in a language without ``DETERMINERS``.

    A phrase follows a determiner. It ends before a common word that the texts do not use as a noun ("the pedal | looks
    tired"); in English before a word that a determiner follows ("the school | moved the piano"), and not in a
    participle; in other languages in a noun that is followed by none, with which Spanish and French begin.
    """
    code = find_code(language)
    determiners, common = DETERMINERS.get(code, frozenset()), list_common_words(code)
    after_verbs, ending, least = (determiners, "ed", 0) if code == "en" else (frozenset(), "", int(code != "de"))
    function_words = list_function_words(language) | determiners
    if code == "de":
        nouns = {word.lower() for text in texts for word in _CAPITALISED.findall(text)}
    else:
        alone = [(run[0], sides) for text in texts for run, *sides in _walk_runs(text, function_words) if len(run) == 1]
        nouns = {word for word, (before, after) in alone if before in determiners and after not in after_verbs}
    function_words |= common - nouns

    def list_phrases(text: str) -> list[str]:
        runs = []
        for run, before, after in _walk_runs(text, function_words):
            if before in determiners:
                cuts = [at for at in range(1, len(run)) if run[at - 1] in nouns and run[at] not in nouns]
                end = len(run) - (after in after_verbs) if code == "en" or not cuts else cuts[0]
                while end > least and run[end - 1].endswith(ending) and run[end - 1] not in nouns:
                    end -= 1
                runs.append(run[:end])
        longer = [run[-size:] for run in runs for size in range(MAX_WORDS, 1, -1) if size <= len(run)]
        return list(dict.fromkeys(map(" ".join, longer or [run for run in runs if run and run[0] not in common])))

    return [list_phrases(text) for text in texts]


def _choose_phrases(drawn: Sequence[str], phrases: Sequence[Sequence[str]], taken: Collection[str]) -> tuple[str, ...]:
    """Choose the phrase of each group of texts that is nearest to the mean of the group."""
    counts = Counter(phrase for its in phrases for phrase in its)
    # What several texts say comes first.
    own = [sorted(its, key=lambda phrase: -counts[phrase])[:PHRASES] for its in phrases[:PLACED]]
    every = list(dict.fromkeys(phrase for its in own for phrase in its if normalise(phrase) not in taken))
    if not every:
        return ()
    texts = encode([text[:OPENING_CHARACTERS] for text in drawn[:PLACED]])
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


def _list_content_phrases(text: str, function_words: Set[str]) -> list[str]:
    """List the phrases of two or three content words in a row, each once; where there are none, the words."""
    runs = [run for run, *_ in _walk_runs(text, function_words)]
    sizes = range(2, MAX_WORDS + 1)
    parts = [run[start : start + size] for run in runs for size in sizes for start in range(len(run) - size + 1)]
    return list(dict.fromkeys(("" if all(map(is_spaceless, part)) else " ").join(part) for part in parts or runs))


def _walk_runs(text: str, function_words: Set[str]) -> Iterator[tuple[list[str], str, str]]:
    """Walk the runs of content words, each with the word before and after it, which is "" at the ends of a clause."""

    def says_something(word: str) -> bool:
        return word not in function_words and len(word) > (1 if is_spaceless(word) else 2)

    for clause in _BREAK.split(text):
        words = split_words(_APOSTROPHE.sub(" ", clause))
        groups = [("", [""]), *((says, list(run)) for says, run in groupby(words, says_something)), ("", [""])]
        for (_, before), (says, run), (_, after) in zip(groups, groups[1:], groups[2:], strict=False):
            if says:
                yield run, before[-1], after[0]
