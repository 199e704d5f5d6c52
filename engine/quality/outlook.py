"""Judges before training what would help a trait most: nothing more, more of the same, or better seeds."""

from dataclasses import dataclass
from typing import Literal

from engine.quality.breaks import Breaks
from engine.quality.learning_curve import LearningCurve

Advice = Literal["enough", "more of the same", "better seeds", "unknown"]

# Texts of another domain, labelled by people, tell a trait's poles apart with .88 (docs/decisions/009): a set's own
# texts should do so with about as much, since they are easier to place.
CLEARLY_AUC = 0.85
# Below it the poles hardly differ, and more texts that hardly differ do not help, whatever the curve says of them. The
# probe names no single text there either (engine/quality/probe.py).
PARTLY_AUC = 0.7
# One more pair of a hundred the right way round: less is not worth a run that costs as much as all texts so far. With
# a greater error than this nothing is said to be enough: of eight texts a pole of human-labelled sets, which twice as
# many made .027 better, that was said of one draw in five (docs/decisions/046).
MIN_GAIN = 0.01


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of one trait before it is trained.

    Args:
        auc: that of the probe, in [0, 1]; None if there are too few texts, or the encoder does not know the language.
        breaks: those of the texts that the probe has scored.
        curve: None for fewer than eight texts a pole.
        scores: the held-out score of each text, in the unit of ``breaks``, with whether it is a positive one.
    """

    auc: float | None = None
    breaks: Breaks | None = None
    curve: LearningCurve | None = None
    scores: tuple[tuple[bool, float], ...] = ()

    @property
    def rises(self) -> bool:
        """Whether twice as many texts would bring what is worth it, and more than the error of the prediction."""
        return self.curve is not None and self.curve.gain >= max(MIN_GAIN, self.curve.gain_error)

    @property
    def hardly_differs(self) -> bool:
        """Whether the poles hardly differ, whatever the curve says of more texts."""
        return self.auc is not None and self.auc < PARTLY_AUC

    @property
    def advice(self) -> Advice:
        """What would help most. Where the curve is surely flat, only texts that differ more than these do."""
        if self.auc is None or self.breaks is None or self.curve is None:
            return "unknown"
        if self.hardly_differs:
            return "better seeds"
        if self.rises or self.curve.gain_error > MIN_GAIN:
            return "more of the same"
        return "enough" if self.auc >= CLEARLY_AUC and not self.breaks.overlap else "better seeds"
