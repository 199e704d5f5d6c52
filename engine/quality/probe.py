"""Probes a choice: can a trait's poles be learned from it, and which exemplars lie on the other pole's side?

The probe is a cross-validated linear axis between the poles on offline embeddings, the form in which the platform
itself scores (``engine/quality/separation.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.domain.samples import Exemplar
from engine.quality.separation import rank_auc, score_held_out
from engine.text.embedding import Embedder

# How far on the other pole's side a text has to lie to be reported, in halves of the distance between the poles' means.
# In human-labelled sets of 40 texts per pole with a tenth of the labels flipped, .25 reported 65 to 90 % of the flipped
# texts and 1 to 23 % of the others (docs/decisions/009-samples-that-teach.md).
WRONG_SIDE_MARGIN = 0.25
# A probe with a lower AUC reports no single texts.
MIN_AUC = 0.7
# With fewer texts per pole the folds are too small to fit an axis.
MIN_TEXTS = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of the probe for one trait.

    ``auc`` is the share of pairs of a positive and a negative exemplar that lie the right way round, in [0, 1]; None if
    there are too few texts. ``wrong_side`` has the keys of the exemplars that lie on the other pole's side.
    """

    trait: str
    auc: float | None
    wrong_side: tuple[str, ...] = ()


def probe_trait(trait: str, exemplars: Sequence[Exemplar], embedder: Embedder | None) -> Probe:
    """Probes one trait's exemplars. Both texts of a pair are in the same fold, so that their subject cannot help.

    Args:
        embedder: None where the encoder does not know the language: the probe then has no result.
    """
    positive = [exemplar.pole == "positive" for exemplar in exemplars]
    if embedder is None or min(sum(positive), len(positive) - sum(positive)) < MIN_TEXTS:
        return Probe(trait, None)
    vectors = embedder.embed([exemplar.text or "" for exemplar in exemplars])
    scores = score_held_out(vectors, positive, [exemplar.pair_id for exemplar in exemplars])
    auc = rank_auc(scores, positive)
    if auc is None or auc < MIN_AUC:
        return Probe(trait, _round(auc))
    sides = _measure_sides(dict(zip((item.key for item in exemplars), scores.tolist(), strict=True)), exemplars)
    return Probe(trait, _round(auc), tuple(key for key, side in sides.items() if side < -WRONG_SIDE_MARGIN))


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


def _round(auc: float | None) -> float | None:
    return None if auc is None else round(auc, 4)
