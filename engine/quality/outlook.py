"""Judges before training what would help a trait most: nothing more, more of the same, or better seeds."""

from dataclasses import dataclass
from typing import Literal

from engine.quality.breaks import MIN_TEXTS_TO_BE_SURE, Breaks

Advice = Literal["enough", "more of the same", "better seeds", "unknown"]

# Texts of another domain, labelled by people, tell a trait's poles apart with .88 (docs/decisions/009): a set's own
# texts should do so with about as much, since they are easier to place.
CLEARLY_AUC = 0.85
# Below it the poles hardly differ, and more texts that hardly differ do not help. The probe names no single text there
# either (engine/quality/probe.py).
PARTLY_AUC = 0.7
# Eight texts a pole are not enough however they look: twice as many made human-labelled sets .004 to .055 better, of
# twenty .001 to .028 (docs/decisions/046).
MIN_TEXTS_FOR_ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of one trait before it is trained.

    Args:
        auc: that of the probe, in [0, 1]; None if there are too few texts, or the encoder does not know the language.
        breaks: those of the texts that the probe has scored.
        scores: the held-out score of each text, in the unit of ``breaks``, with whether it is a positive one.
    """

    auc: float | None = None
    breaks: Breaks | None = None
    scores: tuple[tuple[bool, float], ...] = ()

    @property
    def hardly_differs(self) -> bool:
        """Whether the poles hardly differ."""
        return self.auc is not None and self.auc < PARTLY_AUC

    @property
    def advice(self) -> Advice:
        """What would help most: where the clusters surely overlap, only texts that differ more than these do."""
        if self.auc is None or self.breaks is None or self.breaks.texts < MIN_TEXTS_TO_BE_SURE:
            return "unknown"
        if self.hardly_differs:
            return "better seeds"
        if self.breaks.sureness == "unsure" or self.breaks.texts < MIN_TEXTS_FOR_ENOUGH:
            return "more of the same"
        return "enough" if self.auc >= CLEARLY_AUC and not self.breaks.overlap else "better seeds"
