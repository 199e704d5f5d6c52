"""Says how a trait's poles can be told apart, by what the recheck found."""

from dataclasses import dataclass

from engine.axis.breaks import Breaks
from engine.choosing.probe import Probe
from engine.choosing.rounds import Rounds
from engine.domain.samples import make_id

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Separation:
    """How one trait's poles can be told apart.

    Args:
        wrong_side: the row ids of kept exemplars on the other pole's side.
        shortcuts: clauses.
        is_graded: whether anything is trained on the texts.
        language_known: whether the encoder knows the language of the texts.
    """

    probe: Probe
    wrong_side: tuple[int, ...] = ()
    shortcuts: tuple[str, ...] = ()
    is_graded: bool = True
    language_known: bool = True

    @property
    def separable(self) -> str:
        """The probe's AUC with a word on how good it is, as “0.93, clearly”, or why there is none."""
        if self.probe.auc is None:
            return "too few texts" if self.language_known else "the sentence encoder does not know the language"
        return f"{self.probe.auc:.2f}, {self.probe.separable}"

    @property
    def breaks(self) -> Breaks | None:
        """Those between the two clusters; None for too few texts, or texts that nothing is trained on."""
        return self.probe.breaks if self.is_graded else None

    @property
    def grades(self) -> str:
        """Where the two clusters lie, and what that means for grades."""
        if (found := self.breaks) is None:
            return NOTHING
        developing, solid, strong = map(_format_score, (found.developing, found.solid, found.strong))
        if not found.overlap:
            return f"developing from {developing}, solid from {solid}, strong from {strong}"
        return f"none, since the clusters overlap from {_format_score(found.developing + found.gap)} to {developing}"


def list_separations(rounds: Rounds) -> tuple[Separation, ...]:
    """Lists for each probed trait how its poles can be told apart."""
    plan = rounds.plan
    ids = {item.key: make_id(plan.model.handle, item.trait, item.text or "") for item in rounds.choice.chosen}
    found = [
        (item.trait, item.describe(plan.model.trait(item.trait).label(item.pole))) for item in rounds.recheck.shortcuts
    ]
    return tuple(
        Separation(
            probe,
            wrong_side=tuple(ids[key] for key in ids if key in probe.wrong_side),
            shortcuts=tuple(said for trait, said in found if trait == probe.trait),
            is_graded=plan.synth_type != "enrich",
            language_known=plan.language.encoder_supports_language,
        )
        for probe in rounds.recheck.probes
    )


def _format_score(score: float) -> str:
    return f"{score:+.2f}" if abs(score) >= 0.005 else "0"
