"""Find what comes back in text after text of a run: what a model hands its texts over with, and what one seed says.

What begins text after text, up to a colon or as a heading ("Claro! Segue a mensagem:"), in any language, is the
model's and no part of them. Where the author's own texts begin so, it is the genre's: "Dear customer:".

A small model that is shown seeds takes over whole turns of theirs, too short to be copies, and pastes a seed's street
or sum into texts about other things: a scorer would learn the seed and not the trait. So phrases, names and numbers of
one seed stand in an eighth of a pole's texts at most. What several seeds of a trait have is how such texts are written.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import regex

from engine.domain.model import POLES, Model, Pole
from engine.domain.samples import Exemplar
from engine.screening.patterns import MOST_SEEDS
from engine.text.words import fold, list_function_words, normalise, split_words, word_runs

# Of four texts of a pole two may begin alike by chance, of ten not five.
MIN_TEXTS, MIN_SHARE = 5, 0.5
# A yes and what follows it ("Sure, here is the note:") begins hardly a text of a person's; twice may be chance. What
# comes after its first words may be another in each text.
MIN_ASSENTS, ASSENT_WORDS, FIRST_WORDS = 3, 2, 4
# Up to a colon, or a first line that ends without a mark: a greeting ends with one.
_OPENING = regex.compile(r"\W{0,12}([^\n:]{2,60}?)[\"'*_`]{0,3}\s*(?::(?![\d/:])|(?<![\p{P}\s])\n)\s*\S")
_ASSENT = regex.compile(r"[^,!،、]+[,!،、]")
_REST = " …"
SIZES = range(2, 6)
MIN_CONTENT_WORDS = 2
# A phrase may be in this share of a pole's quota, and in one text in any case.
MOST_SHARE = 1 / 8
# A word with a capital inside a sentence, and a number of two digits and more.
_NAMES = regex.compile(r"(?<=[\p{L}\p{N},;] )\p{Lu}\p{L}+|\b\p{N}[\p{N}.,:]*\p{N}")
# Where every noun has a capital, it marks no name.
_NOUNS_ARE_CAPITAL = frozenset({"de", "lb"})

Phrase = tuple[str, ...]


class FirstWords:
    """The openings of a run's texts so far, by trait and pole."""

    def __init__(self, model: Model) -> None:
        self._own = frozenset(_take_opening(seed.text) for seed in model.sample_seeds(MOST_SEEDS))
        self._counts = Counter[tuple[str, Pole, str]]()
        self._sizes = Counter[tuple[str, Pole]]()

    def add(self, exemplars: Iterable[Exemplar]) -> None:
        """Add the texts of a round, whatever else is wrong with them."""
        for exemplar in exemplars:
            if exemplar.text is not None:
                self._sizes[exemplar.trait, exemplar.pole] += 1
                self._counts[exemplar.trait, exemplar.pole, _take_opening(exemplar.text)] += 1

    def find(self, exemplar: Exemplar) -> str | None:
        """Say how many texts begin as an exemplar does where that is no part of them; None where it is."""
        opening = _take_opening(exemplar.text or "")
        times, size = self._counts[exemplar.trait, exemplar.pole, opening], self._sizes[exemplar.trait, exemplar.pole]
        least = MIN_ASSENTS if opening.endswith(_REST) else max(MIN_TEXTS, MIN_SHARE * size)
        if not opening or opening in self._own or times < least:
            return None
        return f"{times} of {size} texts begin so, and no seed does: {opening}"


class SeedPhrases:
    """Count the phrases of single seeds in the texts that stand, by trait and pole.

    Args:
        quotas: how many texts are wanted, by trait key and pole.
    """

    def __init__(self, model: Model, quotas: Mapping[tuple[str, Pole], int], language: str) -> None:
        self._function_words = list_function_words(language)
        self._capitals_mark_names = language.partition("-")[0] not in _NOUNS_ARE_CAPITAL
        self._most = {key: max(1, int(MOST_SHARE * quota)) for key, quota in quotas.items()}
        self._counts: Counter[tuple[str, Pole, Phrase]] = Counter()
        self._own: dict[str, set[Phrase]] = {}
        for trait in model.traits:
            seeds = [seed.text for pole in POLES for seed in model.seeds_at(trait.key, pole)]
            having = Counter(phrase for text in seeds for phrase in self._list(text))
            self._own[trait.key] = {phrase for phrase, count in having.items() if count == 1}

    def find(self, exemplar: Exemplar) -> str | None:
        """Find a phrase of one seed that as many texts have as may; what the subject says is none."""
        trait, pole = exemplar.trait, exemplar.pole
        most = self._most.get((trait, pole), 1)
        full = [phrase for phrase in self._find_all(exemplar) if self._counts[trait, pole, phrase] >= most]
        longest = max(full, key=lambda phrase: (len(phrase), phrase), default=())
        return " ".join(longest) or None

    def add(self, exemplar: Exemplar) -> None:
        """Count the phrases of a text that stands."""
        self._counts.update((exemplar.trait, exemplar.pole, phrase) for phrase in self._find_all(exemplar))

    def _find_all(self, exemplar: Exemplar) -> set[Phrase]:
        own = self._own[exemplar.trait]
        if not own:
            return own
        named = set(split_words(exemplar.scenario.subject))
        return {phrase for phrase in own & self._list(exemplar.text or "") if not named & set(phrase)}

    def _list(self, text: str) -> set[Phrase]:
        runs = {run for size in SIZES for run in word_runs(text, size)}
        phrases = {run for run in runs if sum(word not in self._function_words for word in run) >= MIN_CONTENT_WORDS}
        return phrases | {(normalise(name),) for name in _NAMES.findall(text) if self._capitals_mark_names}


def _take_opening(text: str) -> str:
    """What stands before a text's first colon, or is its heading, folded; "" where there is no such, or one word."""
    match = _OPENING.match(fold(text))
    words = split_words(match[1]) if match else []
    if match is None or len(words) < 2:
        return ""
    assent = _ASSENT.match(match[1])
    if assent is None or len(split_words(assent[0])) > ASSENT_WORDS:
        return match[1]
    return f"{assent[0]} {' '.join(words[len(split_words(assent[0])) : FIRST_WORDS])}{_REST}"
