"""Rejects texts that say again what a seed or another text of their trait and pole says, in other words or numbers."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.domain.model import POLES, Model
from engine.domain.samples import Exemplar, Reason
from engine.text.embedding import Embedder

# The cosines from which on a text says what a seed says, and what another text says. Of 1,692 pairs of seeds of one
# pole none has more than .56; of 159,600 pairs of two candidates' posts 25 have the first and 15 the second, nearly all
# of them announcements of one kind (docs/decisions/004-screening.md).
SAME_AS_SEED, SAME_AS_OTHER = 0.75, 0.8
_NUMBER = re.compile(r"\d+")


def mask_numbers(text: str) -> str:
    """The text with each number as 1: a seed with another number is the seed (cosines of .80 and .82 without this)."""
    return _NUMBER.sub("1", text)


def reject_same_meanings(
    model: Model, new: Sequence[Exemplar], earlier: Sequence[Exemplar], embedder: Embedder
) -> list[Exemplar]:
    """Returns the new exemplars in order, those that mean what a seed or an earlier one does rejected.

    Args:
        earlier: those of the rounds before, of which the accepted ones count.
    """
    rejected: dict[str, Exemplar] = {}
    for trait, pole in itertools.product(model.traits, POLES):
        before, own = (
            [item for item in items if item.is_accepted and (item.trait, item.pole) == (trait.key, pole)]
            for items in (earlier, new)
        )
        seeds = [seed.text for seed in model.seeds_at(trait.key, pole)]
        texts = [*seeds, *(item.text or "" for item in (*before, *own))]
        vectors, begun = embedder.embed(list(map(mask_numbers, texts))), len(seeds) + len(before)
        standing = np.arange(len(texts)) < begun
        most = np.where(np.arange(len(texts)) < len(seeds), SAME_AS_SEED, SAME_AS_OTHER)
        for number, item in enumerate(own, start=begun):
            cosines = np.where(standing, vectors @ vectors[number], -1.0)
            nearest = int(np.argmax(cosines - most))
            cosine = float(cosines[nearest])
            if cosine < most[nearest]:
                standing[number] = True
                continue
            reason: Reason = "seed_copy" if nearest < len(seeds) else "near_duplicate"
            detail = f"means the same (cosine {cosine:.2f}) as: {texts[nearest]}"
            rejected[item.key] = replace(item, reason=reason, detail=detail)
    return [rejected.get(item.key, item) for item in new]
