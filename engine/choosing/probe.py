"""Probes a choice: can a trait's poles be learned from it, and which exemplars lie on the other pole's side?

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

# How far on the other pole's side a text has to lie to be reported, in halves of the distance between the poles' means.
# In human-labelled sets of 40 texts per pole with a tenth of the labels flipped, .25 reported 65 to 90 % of the flipped
# texts and 1 to 23 % of the others (docs/decisions/000-measured.md).
WRONG_SIDE_MARGIN = 0.25
# A probe with a lower AUC reports no single texts.
MIN_AUC = 0.7
# Texts of another domain, labelled by people, tell a trait's poles apart with .88 (docs/decisions/000-measured.md): a
# set's own texts should do so with about as much, since they are easier to place.
CLEARLY_AUC = 0.85
CHANCE_AUC = 0.5
# With fewer texts per pole the folds are too small to fit an axis.
MIN_TEXTS = 4
# How many standard errors of chance the AUC of what came has to lie below ``MIN_AUC`` before it is said to have no
# poles: the second number where nothing but the texts themselves places them, since of few real texts of a hard trait
# the left-out AUC is often near .5. docs/decisions/003-choice.md has what is found so, and what is not.
NO_POLES_ERRORS, NO_POLES_ERRORS_ALONE = 1.3, 3.0


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
    def separable(self) -> str:
        """How well the poles are told apart, in a word or two; empty without an AUC."""
        if self.auc is None:
            return ""
        if self.auc >= MIN_AUC:
            return "clearly" if self.auc >= CLEARLY_AUC else "partly"
        return "hardly" if self.auc > CHANCE_AUC + self.error else "no better than by chance"

    @property
    def is_inseparable(self) -> bool:
        """Whether there is an AUC, and one for which the set has a warning."""
        return self.auc is not None and self.auc < MIN_AUC

    @property
    def error(self) -> float:
        """The standard error that the AUC has by chance."""
        return measure_chance_error([positive for positive, _ in self.scores])


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


def find_no_poles(exemplars: Sequence[Exemplar], pole_scores: Mapping[str, float], embedder: Embedder) -> float | None:
    """Returns the AUC of one trait's accepted exemplars if nothing tells their poles apart, else None.

    It is the better one of that of the held-out axis and that of the pole scores, where there are any. All that was
    accepted counts: of texts without poles a choice takes those that seem to have them, up to an AUC of .86.
    """
    positive = [exemplar.pole == "positive" for exemplar in exemplars]
    if min(sum(positive), len(positive) - sum(positive)) < MIN_TEXTS:
        return None
    scores = score_held_out(embedder.embed([item.text or "" for item in exemplars]), positive, list_groups(exemplars))
    placed = [pole_scores[exemplar.key] for exemplar in exemplars if exemplar.key in pole_scores]
    is_placed = len(placed) == len(exemplars)
    auc = max(rank_auc(values, positive) or 0.0 for values in ([scores, np.array(placed)] if is_placed else [scores]))
    errors = NO_POLES_ERRORS if is_placed else NO_POLES_ERRORS_ALONE
    return round(auc, 4) if auc + errors * measure_chance_error(positive) < MIN_AUC else None


def measure_chance_error(positive: Sequence[bool]) -> float:
    """The standard error of the AUC of texts at these poles that nothing tells apart: Mann and Whitney's."""
    positives, negatives = sum(positive), len(positive) - sum(positive)
    return math.sqrt((positives + negatives + 1) / (12 * positives * negatives))


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
    """Lists the keys of the exemplars that lie by more than ``WRONG_SIDE_MARGIN`` on the other pole's side."""
    signs = [1.0 if exemplar.pole == "positive" else -1.0 for exemplar in exemplars]
    placed = list(zip(exemplars, signs, scores.tolist(), strict=True))
    above, below = ([at for _, its, at in placed if its == sign] for sign in (1.0, -1.0))
    half = (sum(above) / len(above) - sum(below) / len(below)) / 2
    return tuple(item.key for item, sign, at in placed if half > 0 and sign * at / half < -WRONG_SIDE_MARGIN)
