"""Keeps what one seed alone says rare: its phrases, names and numbers stand in an eighth of a pole's texts at most.

A small model that is shown seeds takes over whole turns of theirs, too short to be copies, and pastes a seed's street
or sum into texts about other things: a scorer would learn the seed and not the trait. A phrase that several seeds of a
trait have is how such texts are written.
"""

from collections import Counter
from collections.abc import Iterator

import regex

from engine.domain.model import POLES, Model, Pole
from engine.text.words import list_function_words, normalise, split_words, word_runs

SIZES = range(2, 6)
MIN_CONTENT_WORDS = 2
# A phrase may be in this share of a pole's quota, and in one text in any case.
MOST_SHARE = 1 / 8
# A word with a capital inside a sentence, and a number of two digits and more.
_NAMES = regex.compile(r"(?<=[\p{L}\p{N},;] )\p{Lu}\p{L}+|\b\p{N}[\p{N}.,:]*\p{N}")
# Where every noun has a capital, it marks no name.
_NOUNS_ARE_CAPITAL = frozenset({"de", "lb"})

Phrase = tuple[str, ...]


class SeedPhrases:
    """Counts the phrases of single seeds in the texts that stand, by trait and pole.

    Args:
        quotas: how many texts are wanted, by trait key and pole.
    """

    def __init__(self, model: Model, quotas: dict[tuple[str, Pole], int], language: str) -> None:
        self._language = language
        self._function_words = list_function_words(language)
        self._most = {key: max(1, int(MOST_SHARE * quota)) for key, quota in quotas.items()}
        self._counts: Counter[tuple[str, Pole, Phrase]] = Counter()
        self._own: dict[str, frozenset[Phrase]] = {}
        for trait in model.traits:
            seeds = [seed.text for pole in POLES for seed in model.seeds_at(trait.key, pole)]
            having = Counter(phrase for text in seeds for phrase in self._list(text))
            self._own[trait.key] = frozenset(phrase for phrase, count in having.items() if count == 1)

    def find(self, text: str, trait: str, pole: Pole, subject: str) -> str | None:
        """Finds a phrase of one seed that as many texts have as may; what the subject says is none."""
        most = self._most.get((trait, pole), 1)
        full = [phrase for phrase in self._find_all(text, trait, subject) if self._counts[trait, pole, phrase] >= most]
        longest = max(full, key=lambda phrase: (len(phrase), phrase), default=())
        return " ".join(longest) or None

    def add(self, text: str, trait: str, pole: Pole, subject: str) -> None:
        """Counts the phrases of a text that stands."""
        self._counts.update((trait, pole, phrase) for phrase in self._find_all(text, trait, subject))

    def _find_all(self, text: str, trait: str, subject: str) -> set[Phrase]:
        own = self._own.get(trait)
        if not own:
            return set()
        named = set(split_words(subject))
        return {phrase for phrase in own & set(self._list(text)) if not named & set(phrase)}

    def _list(self, text: str) -> Iterator[Phrase]:
        """Lists the phrases of a text with two content words and more, and its names and numbers."""
        found = {
            run
            for size in SIZES
            for run in word_runs(text, size)
            if sum(word not in self._function_words for word in run) >= MIN_CONTENT_WORDS
        }
        if self._language.partition("-")[0] not in _NOUNS_ARE_CAPITAL:
            found |= {(normalise(name),) for name in _NAMES.findall(text)}
        yield from found
