"""Probes a choice: can a trait's poles be learned from it, and which exemplars lie on the other pole's side?

The probe is a cross-validated linear axis between the poles on offline embeddings, the form in which the platform
itself scores (``engine/quality/separation.py``).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.domain.samples import Exemplar
from engine.quality.breaks import Breaks, find_breaks
from engine.quality.separation import Numbers, name_group, rank_auc, score_held_out
from engine.text.embedding import Embedder

# How far on the other pole's side a text has to lie to be reported, in halves of the distance between the poles' means.
# In human-labelled sets of 40 texts per pole with a tenth of the labels flipped, .25 reported 65 to 90 % of the flipped
# texts and 1 to 23 % of the others (docs/decisions/009-samples-that-teach.md).
WRONG_SIDE_MARGIN = 0.25
# A probe with a lower AUC reports no single texts.
MIN_AUC = 0.7
# With fewer texts per pole the folds are too small to fit an axis.
MIN_TEXTS = 4
# How many standard errors of chance the AUC has to lie below ``MIN_AUC`` before a set is said to have no poles: more of
# them for few texts, of which eight a pole of a hard trait that people have labelled reach .53 on average.
NO_POLES_ERRORS, NO_POLES_ERRORS_OF_FEW, FEW_TEXTS = 3.0, 4.0, 20


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of the probe for one trait.

    ``auc`` is the share of pairs of a positive and a negative exemplar that lie the right way round, in [0, 1]; None if
    there are too few texts. ``wrong_side`` has the keys of the exemplars that lie on the other pole's side. ``scores``
    has the held-out score of each exemplar, with whether it is a positive one, and ``breaks`` the breaks between them.
    """

    trait: str
    auc: float | None
    wrong_side: tuple[str, ...] = ()
    breaks: Breaks | None = None
    scores: tuple[tuple[bool, float], ...] = ()

    @property
    def finds_no_poles(self) -> bool:
        """Whether the AUC is so low that it is below ``MIN_AUC`` whatever chance did (Mann and Whitney's error)."""
        if self.auc is None:
            return False
        positive = sum(is_positive for is_positive, _ in self.scores)
        fewest = min(positive, len(self.scores) - positive)
        error = math.sqrt((len(self.scores) + 1) / (12 * positive * (len(self.scores) - positive)))
        errors = NO_POLES_ERRORS if fewest >= FEW_TEXTS else NO_POLES_ERRORS_OF_FEW
        return self.auc + errors * error < MIN_AUC


def probe_trait(trait: str, exemplars: Sequence[Exemplar], embedder: Embedder | None) -> Probe:
    """Probes one trait's exemplars. Both texts of a pair are in the same fold, so that their subject cannot help.

    Args:
        embedder: None where the encoder does not know the language: the probe then has no result.
    """
    positive = [exemplar.pole == "positive" for exemplar in exemplars]
    if embedder is None or min(sum(positive), len(positive) - sum(positive)) < MIN_TEXTS:
        return Probe(trait, None)
    vectors = embedder.embed([exemplar.text or "" for exemplar in exemplars])
    scores = score_held_out(vectors, positive, list_groups(exemplars))
    auc, chosen = rank_auc(scores, positive), np.array(positive)
    return Probe(
        trait=trait,
        auc=None if auc is None else round(auc, 4),
        wrong_side=_list_wrong_side(scores, exemplars) if auc is not None and auc >= MIN_AUC else (),
        breaks=find_breaks(scores[chosen], scores[~chosen]),
        scores=tuple(zip(positive, scores.tolist(), strict=True)),
    )


def list_groups(exemplars: Sequence[Exemplar]) -> list[str]:
    """Lists the group of each exemplar of a choice: the same groups as those of its rows in the store."""
    poles: dict[str, set[str]] = {}
    for item in exemplars:
        poles.setdefault(item.pair_id, set()).add(item.pole)
    return [
        name_group(item.pair_id if len(poles[item.pair_id]) > 1 else None, item.seed_sha256, item.text or "")
        for item in exemplars
    ]


def _list_wrong_side(scores: Numbers, exemplars: Sequence[Exemplar]) -> tuple[str, ...]:
    sides = _measure_sides(dict(zip((item.key for item in exemplars), scores.tolist(), strict=True)), exemplars)
    return tuple(key for key, side in sides.items() if side < -WRONG_SIDE_MARGIN)


def _measure_sides(scores: Mapping[str, float], exemplars: Sequence[Exemplar]) -> dict[str, float]:
    """Returns by key how far each exemplar lies on its own pole's side.

    The unit is half of the distance between the poles' means: 1 is at the mean of its pole, below 0 is the other side.
    """
    means = {}
    for pole in ("positive", "negative"):
        own = [scores[exemplar.key] for exemplar in exemplars if exemplar.pole == pole]
        means[pole] = sum(own) / len(own)
    half = (means["positive"] - means["negative"]) / 2
    signs = {exemplar.key: 1.0 if exemplar.pole == "positive" else -1.0 for exemplar in exemplars}
    return {key: signs[key] * place / half for key, place in scores.items()} if half > 0 else {}
