"""Finds what no rule forbids and an author will want to know: what was not filled in, and too few samples."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.asking.scenarios import advise_on_fields, choose_scenario_pool
from engine.authoring.answers import EXAMPLE
from engine.axis.reference_axis import MIN_SEEDS_ALONE
from engine.definitions.scenario_packs import Packs
from engine.definitions.yaml_document import Document
from engine.domain.model import POLES, Model, Trait
from engine.text.formatting import count_noun, join_words

# The words by which programs know hints. docs/guides/validate.md says what each means.
HintKind = Literal["example_left", "no_description", "not_covered", "few_seeds", "wrong_side", "stray_folder"]


@dataclass(frozen=True, slots=True)
class Hint:
    """Something that is no mistake. ``place`` is a file and line; ``trait`` a key, None where it concerns none."""

    kind: HintKind
    place: str
    message: str
    trait: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {f'{self.trait}: ' if self.trait else ''}{self.message}"


def list_hints(model: Model, document: Document) -> Iterator[Hint]:
    """Lists the hints that need no encoder.

    Args:
        model: one that has no mistakes.
        document: its ``model.yaml``.
    """
    for index, trait in enumerate(model.traits):
        place = _locate(document, "traits", index)
        if trait.description == EXAMPLE.description and trait.key == EXAMPLE.key:
            said = "this is still the example of `exemplars new`. Write your own trait in its place"
            yield Hint("example_left", place, said, trait.key)
        if not trait.description.strip():
            said = "it has no description, the field that matters most: say what is asked, and what does not count"
            yield Hint("no_description", place, said, trait.key)
        if few := _find_few_seeds(model, trait):
            yield Hint("few_seeds", place, few, trait.key)


def find_not_covered(model: Model, document: Document, packs: Packs) -> Iterator[Hint]:
    """Finds what the brief's domain names and no pack has subjects of; the sentence encoder has to know the language.

    Args:
        model, document: as for ``list_hints``.
    """
    if advice := advise_on_fields(choose_scenario_pool(model, packs)):
        yield Hint("not_covered", _locate(document, "brief", "domain"), advice)


def _find_few_seeds(model: Model, trait: Trait) -> str | None:
    counts = {pole: len(model.seeds_at(trait.key, pole)) for pole in POLES}
    if min(counts.values()) >= MIN_SEEDS_ALONE:
        return None
    few = join_words([f"{count_noun(counts[pole], 'sample')} labelled {trait.label(pole)!r}" for pole in POLES])
    return f"it has {few}. Six of each make the embedded model far better; a hosted one does without"


def _locate(document: Document, *path: str | int) -> str:
    """Returns the file and line of a field, or of the nearest object that is there."""
    return f"{document.name}:{document.line(path) or 1}"
