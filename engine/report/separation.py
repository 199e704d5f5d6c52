"""Says how a trait's poles can be told apart, by what the recheck found."""

from dataclasses import dataclass

import numpy as np

from engine.axis.breaks import Breaks
from engine.axis.separation import rank_auc, score_others
from engine.choosing.probe import CLEARLY_AUC, MIN_AUC
from engine.choosing.rounds import Rounds
from engine.domain.model import POLES
from engine.domain.samples import make_id

NOTHING = "–"
CHANCE_AUC = 0.5
# From such a difference of two AUCs on the author's labels on, more of them are advised.
LABELS_GAIN = 0.1


@dataclass(frozen=True, slots=True)
class Separation:
    """How one trait's poles can be told apart.

    Args:
        probe_auc: in [0, 1]; None if there are too few texts, or the encoder does not know the language.
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

    @property
    def told_apart(self) -> str:
        """The probe's AUC with a word on how good it is, as “0.93, clearly”, or why there is none."""
        auc = self.probe_auc
        if auc is None:
            return "too few texts" if self.language_known else "the sentence encoder does not know the language"
        if auc < CHANCE_AUC:
            return f"{auc:.2f}, not at all"
        return f"{auc:.2f}, {'clearly' if auc >= CLEARLY_AUC else 'partly' if auc >= MIN_AUC else 'hardly'}"

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
        )
        for probe in rounds.recheck.probes
    )


def advise_labels(rounds: Rounds) -> list[str]:
    """Says for which traits labels would bring more than another run.

    It is where the author's labels tell each other apart, each without itself, much better than the kept texts do.
    """
    advice = []
    for trait, axis in rounds.plan.axes.items():
        own = [item for item in rounds.choice.chosen if item.trait == trait]
        if axis.seeds is None or axis.seeds_auc is None or not own:
            continue
        scores = score_others(
            rounds.embedder.embed([item.text or "" for item in own]),
            [item.pole == "positive" for item in own],
            np.concatenate([axis.seeds[pole] for pole in POLES]),
        )
        reached = rank_auc(scores, [pole == "positive" for pole in POLES for _ in axis.seeds[pole]]) or 0.0
        if axis.seeds_auc - reached >= LABELS_GAIN:
            advice.append(
                f"{trait}: the kept texts tell the model's own labelled texts apart with an AUC of {reached:.2f}, and "
                f"these each other with {axis.seeds_auc:.2f}. More labels would bring more than another run: "
                f"'exemplars suggest {rounds.plan.model.handle} --to labels.csv' chooses texts to label."
            )
    return advice


def _format_score(score: float) -> str:
    """Formats a score with its sign; without one for what rounds to 0."""
    return f"{score:+.2f}" if abs(score) >= 0.005 else "0"
