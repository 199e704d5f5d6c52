"""Find what no rule forbids and an author will want to know: what was not filled in, or reads as the other pole."""

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

# The words by which programs know hints. docs/guides/validate.md says what each means.
HintKind = Literal["example_left", "no_description", "not_covered", "few_seeds", "wrong_side", "stray_folder"]

Flags = NDArray[np.bool_]

# So many seeds a pole are placed, spread over the files: some seconds of the encoder.
MOST_PLACED = 300
# Of so many texts of a trait that are wrong the farthest are named.
MOST_NAMED = 5
SHOWN = 60
# A text is named where it lies so far on the other pole's side, in halves of the distance between the poles' means, and
# all texts tell the poles apart as well as this. Of the 344 samples at their pole in the catalogue none was named; of
# those whose label was turned over, one at a time, 32 %, and no other beside them (docs/decisions/012-packages.md).
MARGIN = 0.6
MIN_AUC = 0.85
# With fewer at a pole the axis is that of single texts.
MIN_TEXTS = 5


@dataclass(frozen=True, slots=True)
class Hint:
    """Something that is no mistake. ``place`` is a file and line; ``trait`` a key, None where it concerns none."""

    kind: HintKind
    place: str
    message: str
    trait: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {f'{self.trait}: ' if self.trait else ''}{self.message}"


def list_hints(model: Model, embedder: Embedder | None = None) -> Iterator[Hint]:
    """List the hints on a model.

    Args:
        model: one that has no mistakes.
        embedder: None leaves out those for which texts are placed, as does a language that the encoder does not know.
    """
    document = parse_yaml(f"{model.handle}/{MODEL_FILE}", model.document.encode())
    for index, trait in enumerate(model.traits):
        place = document.locate(("traits", index))
        if trait.description == EXAMPLE.description and trait.key == EXAMPLE.key:
            said = "this is still the example of `exemplars new`. Write your own trait in its place"
            yield Hint("example_left", place, said, trait.key)
        if not trait.description.strip():
            said = "it has no description, the field that matters most: say what is asked, and what does not count"
            yield Hint("no_description", place, said, trait.key)
        counts = {pole: len(model.seeds_at(trait.key, pole)) for pole in POLES}
        if min(counts.values()) < MIN_SEEDS_ALONE:
            few = join_words([f"{count_noun(counts[pole], 'sample')} labelled {trait.label(pole)!r}" for pole in POLES])
            said = f"it has {few}. Six of each make the embedded model far better; a hosted one does without"
            yield Hint("few_seeds", place, said, trait.key)
    if embedder is None or not decide_language(model).encoder_supports_language:
        return
    # What the brief's domain names and no pack has subjects of.
    if advice := advise_on_fields(choose_scenario_pool(model, load_packs(SCENARIOS_FOLDER))):
        yield Hint("not_covered", document.locate(("brief", "domain")), advice)
    yield from list_wrong_sides(model, embedder)


def list_wrong_sides(model: Model, embedder: Embedder) -> Iterator[Hint]:
    """List the seeds that read as the other pole, of each trait the farthest first."""
    for trait in model.traits:
        drawn = {pole: model.seeds_at(trait.key, pole) for pole in POLES}
        drawn = {pole: seeds[:: max(1, -(-len(seeds) // MOST_PLACED))] for pole, seeds in drawn.items()}
        if min(map(len, drawn.values())) < MIN_TEXTS:
            continue
        seeds = [seed for pole in POLES for seed in drawn[pole]]
        positive = np.array([seed.pole == "positive" for seed in seeds])
        for index in find_wrong(embedder.embed([seed.text for seed in seeds]), positive)[:MOST_NAMED]:
            own, other = (trait.label(pole) for pole in (POLES if positive[index] else reversed(POLES)))
            shown = shorten(" ".join(seeds[index].text.split()), SHOWN)
            said = f"{shown!r} is labelled {own!r}, and reads like those labelled {other!r}"
            yield Hint("wrong_side", seeds[index].place, said, trait.key)


def find_wrong(vectors: Vectors, positive: Flags) -> list[int]:
    """Find the texts that read as the other pole, the farthest first; none where the axis is not sure.

    Args:
        vectors: shape (n, d), of length 1 each, at least ``MIN_TEXTS`` a pole.
        positive: shape (n,), which texts are labelled as positive.
    """
    if (measure_left_out(vectors[positive], vectors[~positive]) or 0.0) < MIN_AUC:
        return []
    sides = _place(vectors, positive)
    return sorted(np.flatnonzero(sides < -MARGIN).tolist(), key=lambda index: float(sides[index]))


def _place(vectors: Vectors, positive: Flags) -> Numbers:
    """Place each text on the axis between the means of the others: 1 is its own pole's, below 0 the other's side."""
    means = {}
    for pole in (True, False):
        own = positive == pole
        means[pole] = (vectors[own].sum(axis=0) - vectors * own[:, None]) / (own.sum() - own)[:, None]
    axes = means[True] - means[False]
    halves = np.einsum("nd,nd->n", axes, axes) / 2
    places = np.einsum("nd,nd->n", vectors - (means[True] + means[False]) / 2, axes)
    sides = np.divide(places, halves, out=np.zeros(len(vectors)), where=halves > 0)
    return np.asarray(np.where(positive, sides, -sides), dtype=np.float64)
