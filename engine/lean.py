"""Where a text lies between the poles, 0 negative to 1 positive, for the report's picture: never a verdict."""

import math
from collections.abc import Sequence

from engine.domain.model import Model
from engine.domain.samples import Exemplar
from engine.placing import place_exemplars
from engine.text.embedding import Embedder

# A text one standard deviation from the middle is drawn at .82.
STEEPNESS = 1.5


def lean_exemplars(model: Model, exemplars: Sequence[Exemplar], embedder: Embedder) -> dict[str, float]:
    """The lean of each exemplar with a text, rejected ones too, by its key, trait by trait.

    By the axis from the seeds, or from the poles' names, alone: the judge in context has not heard what the rules
    rejected.
    """
    leans: dict[str, float] = {}
    for trait in model.traits:
        group = [exemplar for exemplar in exemplars if exemplar.trait == trait.key and exemplar.text]
        unheard = place_exemplars(model, trait, group, None, embedder)
        leans |= {key: round(_squash(STEEPNESS * place), 4) for key, place in unheard.items()}
    return leans


def _squash(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))
