"""Probe a choice: measure whether a trait's poles can be learned from it, and list exemplars on the wrong side.

The probe is a cross-validated linear axis between the poles on offline embeddings, the form in which the platform
itself scores (``engine/axis/separation.py``).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.axis.breaks import Breaks, find_breaks
from engine.axis.separation import Numbers, name_group, rank_auc, score_held_out
from engine.domain.samples import Exemplar
from engine.text.embedding import Embedder

# A reported text is at least this far on the wrong side, in halves of the distance between the poles' means. In
# human-labelled sets of 40 texts per pole with a tenth of the labels flipped, .25 reported 65 to 90 % of the flipped
# texts and 1 to 23 % of the correct ones (docs/decisions/000-measured.md).
WRONG_SIDE_MARGIN = 0.25
# A probe with a lower AUC reports no individual texts.
MIN_AUC = 0.7
# Human-labelled texts of another domain separate a trait's poles with .88 (docs/decisions/000-measured.md). The texts
# of a set are easier to score, so they should reach about as much.
CLEARLY_AUC = 0.85
CHANCE_AUC = 0.5
# With fewer texts per pole the folds are too small to fit an axis.
MIN_TEXTS = 4
# The AUC of all accepted texts must be this many standard errors of chance below ``MIN_AUC`` to report that the poles
# are inseparable. The second number applies without pole scores: for few real texts of a hard trait, the held-out AUC
# is often near .5. docs/decisions/003-choice.md lists the cases that this detects and misses.
INSEPARABLE_ERRORS, INSEPARABLE_ERRORS_ALONE = 1.3, 3.0


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of the probe for one trait.

    ``auc`` is the share of pairs of a positive and a negative exemplar in the right order, in [0, 1]; None if there are
    too few texts. ``wrong_side`` has the keys of exemplars on the wrong side. ``scores`` has for each exemplar
    whether it is positive and its held-out score, and ``breaks`` the breaks between these scores.
    """

    trait: str
    auc: float | None
    wrong_side: tuple[str, ...] = ()
    breaks: Breaks | None = None
    scores: tuple[tuple[bool, float], ...] = ()

    @property
    def separable(self) -> str:
        """Return how well the poles are separated, in a few words; empty without an AUC."""
        if self.auc is None:
            return ""
        if self.auc >= MIN_AUC:
            return "clearly" if self.auc >= CLEARLY_AUC else "partly"
        return "hardly" if self.auc > CHANCE_AUC + self.error else "no better than by chance"

    @property
    def is_inseparable(self) -> bool:
        """Return whether the AUC triggers a warning."""
        return self.auc is not None and self.auc < MIN_AUC

    @property
    def error(self) -> float:
        """Return the standard error of the AUC by chance."""
        return measure_chance_error([positive for positive, _ in self.scores])


def probe_trait(trait: str, exemplars: Sequence[Exemplar], embedder: Embedder | None) -> Probe:
    """Probe one trait's exemplars. Both texts of a pair are in the same fold, so that their subject cannot help.

    Args:
        embedder: None if the encoder does not support the language: the probe then has no result.
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


def find_inseparable(
    exemplars: Sequence[Exemplar], pole_scores: Mapping[str, float], embedder: Embedder
) -> float | None:
    """Return the AUC of one trait's accepted exemplars if their poles are inseparable, else None.

    It is the larger AUC of the held-out axis and the pole scores, if there are any. All accepted exemplars count,
    because a choice among texts without poles takes those that seem to have them, up to an AUC of .86.
    """
    positive = [exemplar.pole == "positive" for exemplar in exemplars]
    if min(sum(positive), len(positive) - sum(positive)) < MIN_TEXTS:
        return None
    scores = score_held_out(embedder.embed([item.text or "" for item in exemplars]), positive, list_groups(exemplars))
    placed = [pole_scores[exemplar.key] for exemplar in exemplars if exemplar.key in pole_scores]
    is_placed = len(placed) == len(exemplars)
    auc = max(rank_auc(values, positive) or 0.0 for values in ([scores, np.array(placed)] if is_placed else [scores]))
    errors = INSEPARABLE_ERRORS if is_placed else INSEPARABLE_ERRORS_ALONE
    return round(auc, 4) if auc + errors * measure_chance_error(positive) < MIN_AUC else None


def measure_chance_error(positive: Sequence[bool]) -> float:
    """Return the standard error of the AUC of inseparable texts at these poles, by Mann and Whitney."""
    positives, negatives = sum(positive), len(positive) - sum(positive)
    return math.sqrt((positives + negatives + 1) / (12 * positives * negatives))


def list_groups(exemplars: Sequence[Exemplar]) -> list[str]:
    """Return the group of each exemplar of a choice; its row in the store has the same group."""
    poles: dict[str, set[str]] = {}
    for item in exemplars:
        poles.setdefault(item.pair_id, set()).add(item.pole)
    return [
        name_group(item.pair_id if len(poles[item.pair_id]) > 1 else None, item.seed_sha256, item.text or "")
        for item in exemplars
    ]


def _list_wrong_side(scores: Numbers, exemplars: Sequence[Exemplar]) -> tuple[str, ...]:
    """Return the keys of the exemplars more than ``WRONG_SIDE_MARGIN`` on the wrong side."""
    signs = [1.0 if exemplar.pole == "positive" else -1.0 for exemplar in exemplars]
    placed = list(zip(exemplars, signs, scores.tolist(), strict=True))
    above, below = ([score for _, side, score in placed if side == sign] for sign in (1.0, -1.0))
    half = (sum(above) / len(above) - sum(below) / len(below)) / 2
    return tuple(item.key for item, sign, score in placed if half > 0 and sign * score / half < -WRONG_SIDE_MARGIN)
