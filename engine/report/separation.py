"""Says how a trait's poles can be told apart, by what the recheck found."""

from dataclasses import dataclass

from engine.axis.breaks import Breaks
from engine.choosing.rounds import Rounds
from engine.domain.samples import make_id

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Separation:
    """How one trait's poles can be told apart.

    Args:
        probe_auc: in [0, 1]; None if there are too few texts, or the encoder does not know the language.
        word: how well that is, see ``Probe.told_apart``.
        wrong_side: the row ids of kept exemplars on the other pole's side.
        shortcuts: clauses.
        breaks: None for too few texts, or texts that nothing is trained on.
        language_known: whether the encoder knows the language of the texts.
    """

    trait: str
    probe_auc: float | None
    wrong_side: tuple[int, ...] = ()
    shortcuts: tuple[str, ...] = ()
    breaks: Breaks | None = None
    language_known: bool = True
    word: str = ""

    @property
    def told_apart(self) -> str:
        """The probe's AUC with a word on how good it is, as “0.93, clearly”, or why there is none."""
        auc = self.probe_auc
        if auc is None:
            return "too few texts" if self.language_known else "the sentence encoder does not know the language"
        return f"{auc:.2f}, {self.word}"

    @property
    def grades(self) -> str:
        """Where the two clusters lie, and what that means for grades."""
        if self.breaks is None:
            return NOTHING
        found = self.breaks
        developing, solid, strong = map(_format_score, (found.developing, found.solid, found.strong))
        if not found.overlap:
            return f"developing from {developing}, solid from {solid}, strong from {strong}"
        return f"none, since the clusters overlap from {_format_score(found.developing + found.gap)} to {developing}"


def list_separations(rounds: Rounds) -> tuple[Separation, ...]:
    """Lists for each probed trait how its poles can be told apart."""
    traits = {trait.key: trait for trait in rounds.plan.model.traits}
    return tuple(
        Separation(
            trait=probe.trait,
            probe_auc=probe.auc,
            wrong_side=tuple(
                make_id(rounds.plan.model.handle, exemplar.trait, exemplar.text or "")
                for exemplar in rounds.choice.chosen
                if exemplar.key in probe.wrong_side
            ),
            shortcuts=tuple(
                item.describe(traits[item.trait].label(item.pole))
                for item in rounds.recheck.shortcuts
                if item.trait == probe.trait
            ),
            breaks=None if rounds.plan.synth_type == "enrich" else probe.breaks,
            language_known=rounds.plan.language.encoder_has_say,
            word=probe.told_apart,
        )
        for probe in rounds.recheck.probes
    )


def _format_score(score: float) -> str:
    """Formats a score with its sign; without one for what rounds to 0."""
    return f"{score:+.2f}" if abs(score) >= 0.005 else "0"
