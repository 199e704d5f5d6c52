"""Defines a hint, what no rule forbids and an author will want to know, and the model that hints are looked for in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from engine.axis.reference_axis import MIN_SEEDS_ALONE
from engine.definitions.yaml_document import Document
from engine.domain.model import POLES, Model, Trait
from engine.text.function_words import list_content_words
from engine.text.language import Language

# The words by which programs know hints. docs/guides/validate.md says what each means.
HintKind = Literal[
    "example_left",
    "no_description",
    "weak_label",
    "bare_labels",
    "same_paraphrase",
    "weak_paraphrase",
    "one_sided_paraphrase",
    "swapped_paraphrases",
    "not_covered",
    "one_value",
    "few_seeds",
    "seeds_hardly_differ",
    "wrong_side",
    "other_language",
    "language_not_written",
    "contested_seed",
    "doubled_seed",
    "near_duplicate",
    "not_looked_at",
    "stray_folder",
]
# Words are compared by so many letters, as for label leaks: "thanks" is "thank", "freundliche" is "freundlich".
STEM_LETTERS = 5


@dataclass(frozen=True, slots=True)
class Hint:
    """Something that is no mistake. ``place`` is a file and line; ``trait`` a key, None where it concerns none."""

    kind: HintKind
    place: str
    message: str
    trait: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {f'{self.trait}: ' if self.trait else ''}{self.message}"


@dataclass(frozen=True, slots=True)
class Examined:
    """A model that has no mistakes, with its file and the language of its texts; its seeds are settled."""

    model: Model
    document: Document
    language: Language

    def locate(self, *path: str | int) -> str:
        """Returns the file and line of a field, or of the nearest object that is there."""
        return f"{self.document.name}:{self.document.line(path) or 1}"

    def walk_traits(self) -> Iterator[tuple[int, Trait]]:
        """Yields the traits with their number in the file."""
        yield from enumerate(self.model.traits)

    def has_few_seeds(self, trait: Trait) -> bool:
        """Whether a pole has so few seeds that they alone are no measure between the poles."""
        return min(len(self.model.seeds_at(trait.key, pole)) for pole in POLES) < MIN_SEEDS_ALONE

    def stem(self, texts: Iterable[str]) -> frozenset[str]:
        """Returns the beginnings of the content words of texts."""
        return frozenset(word[:STEM_LETTERS] for word in list_content_words(texts, self.language.tag))
