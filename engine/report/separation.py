"""Describe the separation of each trait's poles, from the results of the recheck."""

from dataclasses import dataclass

from engine.axis.breaks import Breaks
from engine.choosing.probe import Probe
from engine.choosing.run_state import RunState
from engine.domain.samples import make_id

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Separation:
    """The separation of one trait's poles.

    Args:
        wrong_side: the row ids of kept exemplars on the wrong side.
        shortcuts: one clause each.
        is_graded: whether the texts are for training, which gives grades.
        language_known: whether the encoder supports the language of the texts.
    """

    probe: Probe
    wrong_side: tuple[int, ...] = ()
    shortcuts: tuple[str, ...] = ()
    is_graded: bool = True
    language_known: bool = True

    @property
    def separable(self) -> str:
        """Return the probe's AUC and its rating, as “0.93, clearly”, or the reason why there is none."""
        if self.probe.auc is None:
            return "too few texts" if self.language_known else "the sentence encoder does not know the language"
        return f"{self.probe.auc:.2f}, {self.probe.separable}"

    @property
    def breaks(self) -> Breaks | None:
        """Return the breaks between the two clusters; None for too few texts, or texts that are not for training."""
        return self.probe.breaks if self.is_graded else None

    @property
    def grades(self) -> str:
        """Describe the scores where each grade begins, or why there are no grades."""
        if (breaks := self.breaks) is None:
            return NOTHING
        developing, solid, strong = map(_format_score, (breaks.developing, breaks.solid, breaks.strong))
        if not breaks.overlap:
            return f"developing from {developing}, solid from {solid}, strong from {strong}"
        return f"none, since the clusters overlap from {_format_score(breaks.developing + breaks.gap)} to {developing}"


def list_separations(state: RunState) -> tuple[Separation, ...]:
    """Return the separation of each probed trait's poles."""
    plan = state.plan
    ids = {item.key: make_id(plan.model.handle, item.trait, item.text or "") for item in state.choice.chosen}
    clauses = [
        (item.trait, item.describe(plan.model.trait(item.trait).label(item.pole))) for item in state.recheck.shortcuts
    ]
    return tuple(
        Separation(
            probe,
            wrong_side=tuple(ids[key] for key in ids if key in probe.wrong_side),
            shortcuts=tuple(clause for trait, clause in clauses if trait == probe.trait),
            is_graded=plan.synth_type != "enrich",
            language_known=plan.language.encoder_supports_language,
        )
        for probe in state.recheck.probes
    )


def _format_score(score: float) -> str:
    return f"{score:+.2f}" if abs(score) >= 0.005 else "0"
