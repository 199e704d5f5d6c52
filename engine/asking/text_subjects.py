"""Find the subjects of an author's own texts: phrases from the texts, distributed as the texts are.

The method is KeyBERT's (Grootendorst 2020, doi 10.5281/zenodo.4461265): a text's subject is the phrase in it that the
encoder places nearest to the text. Here texts are grouped first, and each group has one phrase. So subjects are as
different as the texts, and a frequent theme has more subjects (docs/decisions/002-subjects.md).
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

# Phrases are counted in COUNTED texts. PHRASES phrases and the opening of each of PLACED texts take 4 s to encode.
COUNTED, PLACED, PHRASES = 2_000, 300, 12
MAX_SUBJECTS = 96
MAX_WORDS = 3
# If noun phrases yield fewer subjects, as in notes without articles, phrases of any kind are used.
LEAST_SUBJECTS = 8
# Words before a noun phrase, by language. In other languages noun phrases are not recognised.
DETERMINERS: Mapping[str, Set[str]] = {
    "en": frozenset("a an the this these my your his her its our their no some any each every another".split()),
    "de": frozenset("der die das den dem des ein eine einen einem einer eines am im zum zur vom beim ins ans".split()),
    "es": frozenset("el la los las un una unos unas del al este esta estos estas mi mis su sus cada".split()),
    "fr": frozenset("le la les l un une des du au aux d ce cet cette ces mon ma mes son sa ses leur leurs".split()),
}
# From this cosine, two phrases are one subject.
SAME = 0.75
DECIMALS = 6
# A phrase ends at a web address, a user name or hashtag, a contraction ("didn't"), a number or a punctuation mark.
_BREAK = regex.compile(r"https?://\S+|[@#]\w+|\b\p{L}+n['’]t\b|[^\p{L}\p{M}\s'’-]+")
_APOSTROPHE = regex.compile(r"['’]")
# A capitalised word within a sentence, like every noun in German.
_CAPITALISED = regex.compile(r"(?<=[\p{L},] )\p{Lu}[\p{L}-]+")


def find_text_subjects(model: Model, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Find at most ``MAX_SUBJECTS`` subjects, from the largest groups of texts first.

    Args:
        model: a model in a language that the encoder supports.
        taken: subjects that must not be used, in the form of ``normalise``.
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
    tired"). In English, it ends before a word in front of a determiner ("the school | moved the piano"), and its last
    word is no participle. Elsewhere it ends with the first noun that no noun follows. Spanish and French begin with it.
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
    counts = Counter(phrase for row in phrases for phrase in row)
    # Phrases that several texts have come first.
    frequent = [sorted(row, key=lambda phrase: -counts[phrase])[:PHRASES] for row in phrases[:PLACED]]
    candidates = list(dict.fromkeys(phrase for row in frequent for phrase in row if normalise(phrase) not in taken))
    if not candidates:
        return ()
    texts = encode([text[:OPENING_CHARACTERS] for text in drawn[:PLACED]])
    placed = encode(candidates)
    owners, centres = group_rows(normalise_rows(texts - texts.mean(axis=0)), MAX_SUBJECTS)
    placed = normalise_rows(placed - placed.mean(axis=0))
    index_of = {phrase: index for index, phrase in enumerate(candidates)}
    chosen: list[int] = []
    for group, _ in Counter(owners.tolist()).most_common():
        members = np.flatnonzero(owners == group).tolist()
        indices = sorted({index_of[phrase] for member in members for phrase in frequent[member] if phrase in index_of})
        fresh = [index for index in indices if not chosen or (placed[chosen] @ placed[index]).max() < SAME]
        if fresh:
            chosen.append(fresh[int(np.argmax(np.round(placed[fresh] @ centres[group], DECIMALS)))])
    return tuple(candidates[index] for index in chosen)


def _list_content_phrases(text: str, function_words: Set[str]) -> list[str]:
    """List the phrases of two or three content words in a row, each once; if there are none, the words."""
    runs = [run for run, *_ in _walk_runs(text, function_words)]
    sizes = range(2, MAX_WORDS + 1)
    parts = [run[start : start + size] for run in runs for size in sizes for start in range(len(run) - size + 1)]
    return list(dict.fromkeys(("" if all(map(is_spaceless, part)) else " ").join(part) for part in parts or runs))


def _walk_runs(text: str, function_words: Set[str]) -> Iterator[tuple[list[str], str, str]]:
    """Yield the runs of content words, each with the word before and after it, which is "" at the ends of a clause."""

    def is_content_word(word: str) -> bool:
        return word not in function_words and len(word) > (1 if is_spaceless(word) else 2)

    for clause in _BREAK.split(text):
        words = split_words(_APOSTROPHE.sub(" ", clause))
        groups = [("", [""]), *((kind, list(run)) for kind, run in groupby(words, is_content_word)), ("", [""])]
        for (_, before), (is_content, run), (_, after) in zip(groups, groups[1:], groups[2:], strict=False):
            if is_content:
                yield run, before[-1], after[0]
