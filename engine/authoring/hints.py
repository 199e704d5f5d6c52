"""Find hints for an author that are not mistakes: fields left as the example, texts that read as the other pole."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.asking.scenarios import advise_on_fields, choose_scenario_pool
from engine.authoring.answers import EXAMPLE
from engine.axis.reference_axis import MIN_SEEDS_ALONE
from engine.axis.separation import Numbers, measure_left_out
from engine.definitions.loader import MODEL_FILE
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.definitions.yaml_document import parse_yaml
from engine.domain.model import POLES, Model
from engine.text.embedding import Embedder, Vectors
from engine.text.formatting import count_noun, join_words, shorten
from engine.text.language import decide_language

# Kinds of hints, for programs; explained in docs/guides/validate.md.
HintKind = Literal["example_left", "no_description", "not_covered", "few_seeds", "wrong_side", "stray_folder"]

Flags = NDArray[np.bool_]

# Maximum number of embedded seeds per pole, spread over the files: some seconds of the encoder.
MOST_PLACED = 300
# Maximum number of wrong texts that are named for a trait.
MAX_NAMED = 5
SHOWN = 60
# A text is named if it lies at least this far on the other pole's side, in halves of the distance between the poles'
# means, and the axis separates all texts at least this well. None of the catalogue's 344 samples at a pole was named.
# With one label inverted at a time, 32 % of these texts were named, and no other text (docs/decisions/012-packages.md).
MARGIN = 0.6
MIN_AUC = 0.85
# With fewer texts at a pole, single texts would decide the axis.
MIN_TEXTS = 5


@dataclass(frozen=True, slots=True)
class Hint:
    """Advice that is not a mistake. ``place`` is a file and line, ``trait`` a key or None if no trait is concerned."""

    kind: HintKind
    place: str
    message: str
    trait: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {f'{self.trait}: ' if self.trait else ''}{self.message}"


def list_hints(model: Model, embedder: Embedder | None = None) -> Iterator[Hint]:
    """List the hints on a model.

    Args:
        model: a model without mistakes.
        embedder: None leaves out hints that need embedded texts, as does a language that the encoder does not support.
    """
    document = parse_yaml(f"{model.handle}/{MODEL_FILE}", model.document.encode())
    for index, trait in enumerate(model.traits):
        place = document.locate(("traits", index))
        if trait.description == EXAMPLE.description and trait.key == EXAMPLE.key:
            message = "this is still the example of `exemplars new`. Write your own trait in its place"
            yield Hint("example_left", place, message, trait.key)
        if not trait.description.strip():
            message = "it has no description, the field that matters most: say what is asked, and what does not count"
            yield Hint("no_description", place, message, trait.key)
        counts = {pole: len(model.seeds_at(trait.key, pole)) for pole in POLES}
        if min(counts.values()) < MIN_SEEDS_ALONE:
            few = join_words([f"{count_noun(counts[pole], 'sample')} labelled {trait.label(pole)!r}" for pole in POLES])
            message = f"it has {few}. Six of each make the embedded model far better; a hosted one does without"
            yield Hint("few_seeds", place, message, trait.key)
    if embedder is None or not decide_language(model).encoder_supports_language:
        return
    # Fields in the brief's domain without subjects in any pack.
    if advice := advise_on_fields(choose_scenario_pool(model, load_packs(SCENARIOS_FOLDER))):
        yield Hint("not_covered", document.locate(("brief", "domain")), advice)
    yield from list_wrong_sides(model, embedder)


def list_wrong_sides(model: Model, embedder: Embedder) -> Iterator[Hint]:
    """Yield a hint for each seed that reads as the other pole, by trait, the farthest first."""
    for trait in model.traits:
        drawn = {pole: model.seeds_at(trait.key, pole) for pole in POLES}
        drawn = {pole: seeds[:: max(1, -(-len(seeds) // MOST_PLACED))] for pole, seeds in drawn.items()}
        if min(map(len, drawn.values())) < MIN_TEXTS:
            continue
        seeds = [seed for pole in POLES for seed in drawn[pole]]
        positive = np.array([seed.pole == "positive" for seed in seeds])
        for index in find_wrong(embedder.embed([seed.text for seed in seeds]), positive)[:MAX_NAMED]:
            label, other = (trait.label(pole) for pole in (POLES if positive[index] else reversed(POLES)))
            shown = shorten(" ".join(seeds[index].text.split()), SHOWN)
            message = f"{shown!r} is labelled {label!r}, and reads like those labelled {other!r}"
            yield Hint("wrong_side", seeds[index].place, message, trait.key)


def find_wrong(vectors: Vectors, positive: Flags) -> list[int]:
    """Return the indices of texts that read as the other pole, the farthest first; none if the axis is unsure.

    Args:
        vectors: shape (n, d), each of length 1; at least ``MIN_TEXTS`` per pole.
        positive: shape (n,), true for texts that are labelled as positive.
    """
    if (measure_left_out(vectors[positive], vectors[~positive]) or 0.0) < MIN_AUC:
        return []
    sides = _place(vectors, positive)
    return sorted(np.flatnonzero(sides < -MARGIN).tolist(), key=lambda index: float(sides[index]))


def _place(vectors: Vectors, positive: Flags) -> Numbers:
    """Project each text on the axis between the other texts' means: 1 at its pole's mean, below 0 on the other side."""
    means = {}
    for pole in (True, False):
        at_pole = positive == pole
        means[pole] = (vectors[at_pole].sum(axis=0) - vectors * at_pole[:, None]) / (at_pole.sum() - at_pole)[:, None]
    axes = means[True] - means[False]
    halves = np.einsum("nd,nd->n", axes, axes) / 2
    places = np.einsum("nd,nd->n", vectors - (means[True] + means[False]) / 2, axes)
    sides = np.divide(places, halves, out=np.zeros(len(vectors)), where=halves > 0)
    return np.asarray(np.where(positive, sides, -sides), dtype=np.float64)
