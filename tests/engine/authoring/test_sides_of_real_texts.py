"""Which side texts are on that people wrote: none that is right is named, and most that are wrong."""

from collections.abc import Mapping

import numpy as np
import pytest
from bench.label_pairs import ENCODER, FILES, list_label_pairs

from engine.authoring.seed_sides import find_wrong_sides
from engine.definitions.loader import list_handles, load_model
from engine.domain.model import POLES
from engine.quality.separation import Numbers
from engine.settings import PROJECT_ROOT

MODELS = str(PROJECT_ROOT / "data" / "models")


@pytest.fixture(scope="module")
def traits() -> Mapping[str, tuple[Numbers, list[bool]]]:
    """The vectors of each trait's texts with their poles: the catalogue's seeds, and the texts of a benchmark."""
    texts = {
        f"{handle} {trait.key}": {pole: [seed.text for seed in model.seeds_at(trait.key, pole)] for pole in POLES}
        for handle, model in ((handle, load_model(MODELS, handle)) for handle in list_handles(MODELS))
        for trait in model.traits
        if model.seeds
    }
    texts |= {
        f"{pair.language} {pair.name}": {pole: [*pair.texts[pole]] for pole in POLES}
        for file in FILES
        for pair in list_label_pairs(file)
    }
    return {
        name: (
            ENCODER.embed([text for pole in POLES for text in found[pole]]),
            [pole == "positive" for pole in POLES for _ in found[pole]],
        )
        for name, found in texts.items()
    }


def test_no_text_that_stands_at_its_pole_is_named(traits: Mapping[str, tuple[Numbers, list[bool]]]) -> None:
    found = {name: find_wrong_sides(*labelled) for name, labelled in traits.items()}

    assert 35 <= len(found)
    assert {} == {name: np.flatnonzero(sides.wrong) for name, sides in found.items() if sides and sides.wrong.any()}


def test_most_texts_with_the_other_label_are_named_and_nothing_beside_them(
    traits: Mapping[str, tuple[Numbers, list[bool]]],
) -> None:
    named = placed = others = 0
    for vectors, positive in traits.values():
        for flipped in range(len(vectors)):
            given = [pole != (index == flipped) for index, pole in enumerate(positive)]
            if sides := find_wrong_sides(vectors, given):
                placed += 1
                named += bool(sides.wrong[flipped])
                others += int(sides.wrong.sum()) - bool(sides.wrong[flipped])

    assert named / placed > 0.5
    assert others < placed / 50
