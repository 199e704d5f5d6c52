"""Find words that recur in many texts of a run: a model's introductions to its texts, and phrases of a single seed.

If many texts begin with the same words, up to a colon or as a heading ("Claro! Segue a mensagem:"), in any language,
these words are the model's introduction and not part of the text. If the author's own texts begin with them, they
belong to the genre: "Dear customer:".

A small model copies whole phrases of the seeds in its prompt, too short to count as copies, and pastes a seed's street
or sum into texts about other things. A classifier would learn the seed, not the trait. So phrases, names and numbers
of a single seed may be in at most an eighth of a pole's texts. Phrases of several seeds of a trait belong to the
genre.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import regex

from engine.domain.definition import Pole
from engine.domain.model import POLES, Model
from engine.domain.samples import Exemplar
from engine.rules.patterns import MOST_SEEDS
from engine.text.words import fold, list_function_words, normalise, split_words, word_runs

# Two of four texts of a pole may begin alike by chance, but not five of ten.
MIN_TEXTS, MIN_SHARE = 5, 0.5
# People hardly ever begin a text with an assent and an introduction ("Sure, here is the note:"); twice may be chance.
# Only the first words of the introduction are compared, because the rest may differ from text to text.
MIN_ASSENTS, ASSENT_WORDS, FIRST_WORDS = 3, 2, 4
# Text up to a colon, or a first line that ends without a mark. A greeting ends with one.
_OPENING = regex.compile(r"\W{0,12}([^\n:]{2,60}?)[\"'*_`]{0,3}\s*(?::(?![\d/:])|(?<![\p{P}\s])\n)\s*\S")
_ASSENT = regex.compile(r"[^,!،、]+[,!،、]")
_REST = " …"
SIZES = range(2, 6)
MIN_CONTENT_WORDS = 2
# Maximum share of a pole's quota that may have a phrase. One text may always have it.
MOST_SHARE = 1 / 8
# A capitalised word inside a sentence, and a number with two or more digits.
_NAMES = regex.compile(r"(?<=[\p{L}\p{N},;] )\p{Lu}\p{L}+|\b\p{N}[\p{N}.,:]*\p{N}")
# Languages that capitalise every noun, so that a capital does not mark a name.
_NOUNS_ARE_CAPITAL = frozenset({"de", "lb"})

Phrase = tuple[str, ...]


class FirstWords:
    """Counts of the openings of a run's texts so far, by trait and pole."""

    def __init__(self, model: Model) -> None:
        self._authored = frozenset(_take_opening(seed.text) for seed in model.sample_seeds(MOST_SEEDS))
        self._counts = Counter[tuple[str, Pole, str]]()
        self._sizes = Counter[tuple[str, Pole]]()

    def add(self, exemplars: Iterable[Exemplar]) -> None:
        """Add all texts of a round, including rejected ones."""
        for exemplar in exemplars:
            if exemplar.text is not None:
                self._sizes[exemplar.trait, exemplar.pole] += 1
                self._counts[exemplar.trait, exemplar.pole, _take_opening(exemplar.text)] += 1

    def find(self, exemplar: Exemplar) -> str | None:
        """Describe how many texts begin like an exemplar; None if its beginning is part of the text."""
        opening = _take_opening(exemplar.text or "")
        times, size = self._counts[exemplar.trait, exemplar.pole, opening], self._sizes[exemplar.trait, exemplar.pole]
        least = MIN_ASSENTS if opening.endswith(_REST) else max(MIN_TEXTS, MIN_SHARE * size)
        if not opening or opening in self._authored or times < least:
            return None
        return f"{times} of {size} texts begin with these words, and no seed does: {opening}"


class SeedPhrases:
    """Counts of the phrases of single seeds in accepted texts, by trait and pole.

    Args:
        quotas: the number of texts to choose, by trait key and pole.
    """

    def __init__(self, model: Model, quotas: Mapping[tuple[str, Pole], int], language: str) -> None:
        self._function_words = list_function_words(language)
        self._capitals_mark_names = language.partition("-")[0] not in _NOUNS_ARE_CAPITAL
        self._most = {key: max(1, int(MOST_SHARE * quota)) for key, quota in quotas.items()}
        self._counts: Counter[tuple[str, Pole, Phrase]] = Counter()
        self._of_one_seed: dict[str, set[Phrase]] = {}
        for trait in model.traits:
            seeds = [seed.text for pole in POLES for seed in model.seeds_at(trait.key, pole)]
            counts = Counter(phrase for text in seeds for phrase in self._list(text))
            self._of_one_seed[trait.key] = {phrase for phrase, count in counts.items() if count == 1}

    def find(self, exemplar: Exemplar) -> str | None:
        """Find a phrase of a single seed that no further text may have. Phrases with subject words don't count."""
        trait, pole = exemplar.trait, exemplar.pole
        most = self._most.get((trait, pole), 1)
        full = [phrase for phrase in self._find_all(exemplar) if self._counts[trait, pole, phrase] >= most]
        longest = max(full, key=lambda phrase: (len(phrase), phrase), default=())
        return " ".join(longest) or None

    def add(self, exemplar: Exemplar) -> None:
        """Count the phrases of an accepted text."""
        self._counts.update((exemplar.trait, exemplar.pole, phrase) for phrase in self._find_all(exemplar))

    def _find_all(self, exemplar: Exemplar) -> set[Phrase]:
        phrases = self._of_one_seed[exemplar.trait]
        if not phrases:
            return phrases
        subject_words = set(split_words(exemplar.scenario.subject))
        return {phrase for phrase in phrases & self._list(exemplar.text or "") if not subject_words & set(phrase)}

    def _list(self, text: str) -> set[Phrase]:
        runs = {run for size in SIZES for run in word_runs(text, size)}
        phrases = {run for run in runs if sum(word not in self._function_words for word in run) >= MIN_CONTENT_WORDS}
        return phrases | {(normalise(name),) for name in _NAMES.findall(text) if self._capitals_mark_names}


def _take_opening(text: str) -> str:
    """Return the folded words before a text's first colon, or its heading; "" if there is neither, or only one word."""
    match = _OPENING.match(fold(text))
    words = split_words(match[1]) if match else []
    if match is None or len(words) < 2:
        return ""
    assent = _ASSENT.match(match[1])
    if assent is None or len(split_words(assent[0])) > ASSENT_WORDS:
        return match[1]
    return f"{assent[0]} {' '.join(words[len(split_words(assent[0])) : FIRST_WORDS])}{_REST}"
