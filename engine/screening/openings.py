"""Finds with what a model hands its texts over, by form in any language: "Claro! Segue a mensagem:" before each.

What begins text after text, up to a colon or as a heading, is the model's and no part of them. Where the author's own
texts begin so, it is the genre's: "Dear customer:".
"""

from collections import Counter
from collections.abc import Iterable

import regex

from engine.domain.model import Model, Pole
from engine.domain.samples import Exemplar
from engine.screening.patterns import MOST_SEEDS
from engine.text.words import fold, split_words

# Of four texts of a pole two may begin alike by chance, of ten not five.
MIN_TEXTS, MIN_SHARE = 5, 0.5
# A yes and what follows it ("Sure, here is the note:") begins hardly a text of a person's; twice may be chance. What
# comes after its first words may be another in each text.
MIN_ASSENTS, ASSENT_WORDS, FIRST_WORDS = 3, 2, 4
# Up to a colon, or a first line that ends without a mark: a greeting ends with one.
_OPENING = regex.compile(r"\W{0,12}([^\n:]{2,60}?)[\"'*_`]{0,3}\s*(?::(?![\d/:])|(?<![\p{P}\s])\n)\s*\S")
_ASSENT = regex.compile(r"[^,!،、]+[,!،、]")
_REST = " …"


class Openings:
    """The openings of a run's texts so far, by trait and pole."""

    def __init__(self, model: Model) -> None:
        self._own = frozenset(_take_opening(seed.text) for seed in model.sample_seeds(MOST_SEEDS))
        self._counts = Counter[tuple[str, Pole, str]]()
        self._sizes = Counter[tuple[str, Pole]]()

    def add(self, exemplars: Iterable[Exemplar]) -> None:
        """Adds the texts of a round, whatever else is wrong with them."""
        for exemplar in exemplars:
            if exemplar.text is not None:
                self._sizes[exemplar.trait, exemplar.pole] += 1
                self._counts[exemplar.trait, exemplar.pole, _take_opening(exemplar.text)] += 1

    def find(self, exemplar: Exemplar) -> str | None:
        """Says how many texts begin as an exemplar does where that is no part of them; None where it is."""
        opening = _take_opening(exemplar.text or "")
        times, size = self._counts[exemplar.trait, exemplar.pole, opening], self._sizes[exemplar.trait, exemplar.pole]
        least = MIN_ASSENTS if opening.endswith(_REST) else max(MIN_TEXTS, MIN_SHARE * size)
        if not opening or opening in self._own or times < least:
            return None
        return f"{times} of {size} texts begin so, and no seed does: {opening}"


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
