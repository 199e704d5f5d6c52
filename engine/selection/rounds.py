"""Rounds: what to ask for next, until every quota is met or the effort's rounds are spent."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from engine.domain.model import POLES, Pole
from engine.domain.samples import Exemplar
from engine.planning.plan import Cell, CellHints, Plan, RoundHistory, add_to_history, plan_round
from engine.planning.seed_variations import count_seed_uses
from engine.quality.shortcuts import STRONG_AUC
from engine.screening.screener import Screener
from engine.selection.choice import Choice, choose_exemplars, keep_earlier_choice
from engine.selection.review import Decision, Review, decide, make_hints
from engine.text.embedding import CachingEmbedder
from engine.text.language import expect_language, name_language
from engine.text.near_duplicates import DuplicatePair

# A word that most texts of a pole have would else ask for the whole quota once more.
MAX_REPLACED = 0.25


class Rounds:
    """The state of one run between its rounds. Each round is a function of the plan and the replies before it.

    Args:
        draws: calls for one scenario and pole in the first round and after.
        strict: whether the synth model is so weak that only pairs are chosen which lie clearly the right way round.
            Where such a model has no seeds to go by, the best so far are the shots of its later rounds.
    """

    def __init__(self, plan: Plan, screener: Screener, draws: int, embedder: CachingEmbedder, strict: bool) -> None:
        self.plan = plan
        self.screener = screener
        self.embedder = embedder
        self.language = name_language(expect_language(plan.model))
        # The plan under which the proposed subjects are kept: without them this one cannot be made again.
        self.draft_id = plan.plan_id
        self.round_no = 0
        self.taken = 0
        self.exemplars: tuple[Exemplar, ...] = ()
        self.duplicates: tuple[DuplicatePair, ...] = ()
        self.choice: Choice = choose_exemplars(plan, ())
        self.review = Review()
        self.judge_aucs: Mapping[str, float] = {}
        self._draws = draws
        self._strict = strict
        self._replaced = 0
        self._history = RoundHistory({})
        self._hints: Mapping[tuple[str, Pole], CellHints] = {}

    def next_cells(self) -> tuple[Cell, ...]:
        """The cells of the next round; none when the quotas are met or the rounds are spent."""
        if self.round_no > self.plan.level.top_up_rounds:
            return ()
        shortfall = self._find_shortfall()
        if not any(shortfall.values()):
            return ()
        self.round_no += 1
        history = replace(self._history, kept=count_seed_uses(self.plan.model, self.choice.chosen))
        cells = plan_round(self.plan, self.round_no, shortfall, history, self._draws, self._hints)
        self._history = add_to_history(self._history, cells)
        return cells

    def screen(self, exemplars: Sequence[Exemplar]) -> list[Exemplar]:
        """The round's exemplars after the rules."""
        return self.screener.screen(exemplars)

    def take(self, exemplars: Sequence[Exemplar]) -> Choice:
        """Adds a round's screened (and judged) exemplars and chooses anew among all."""
        return self.settle(self.add(exemplars)())

    def add(self, exemplars: Sequence[Exemplar]) -> Callable[[], Decision]:
        """Adds a round's screened (and judged) exemplars. What it returns chooses anew among all; it can be pickled."""
        self.exemplars += tuple(exemplars)
        self.duplicates = tuple(self.screener.duplicates)
        self.taken += 1
        return partial(decide, _without_pools(self.plan), self.exemplars, self.judge_aucs, self.embedder, self._strict)

    def settle(self, decision: Decision) -> Choice:
        """Takes over the choice that was made after ``add``."""
        choice, review = decision.choice, decision.review
        if self.choice.complete and not choice.complete:
            # Places are measured by all that stands: what has come since may make a margin too narrow that was not.
            self.choice = keep_earlier_choice(self.choice, choice)
        else:
            self.choice, self.review = choice, review
        self._hints = make_hints(self.plan, self.choice, self.review, decision.pole_scores)
        return self.choice

    def count_kept(self) -> dict[tuple[str, Pole], int]:
        """How many exemplars are chosen so far, by trait key and pole."""
        return {
            (trait.key, pole): self.choice.count(trait.key, pole) for trait in self.plan.model.traits for pole in POLES
        }

    @property
    def improving(self) -> bool:
        """Whether the quotas are met, and what goes on only makes the set better."""
        return self.choice.complete

    def _find_shortfall(self) -> dict[tuple[str, Pole], int]:
        """What is lacking; where nothing is, what had better be replaced, as long as the effort has rounds for that."""
        if self.round_no == 0:
            return dict(self.plan.full_shortfall())
        shortfall = dict(self.choice.shortfall)
        if any(shortfall.values()) or self._replaced >= self.plan.level.replacement_rounds:
            return shortfall
        self._replaced += 1
        named = Counter(
            (exemplar.trait, pole)
            for exemplar in self.choice.chosen
            if exemplar.key in self.review.named
            for pole in (POLES if self._strict else (exemplar.pole,))
        )
        return shortfall | {key: self._bound_replacement(count) for key, count in named.items()}

    def _bound_replacement(self, count: int) -> int:
        """What a round asks for as if it were lacking: of what is named a quarter of the quota at most.

        A later round asks for more by its number, since what is lacking then is hard to get; what is named is not.
        """
        most = math.ceil(MAX_REPLACED * self.plan.wanted)
        return math.ceil(min(count, most) / (self.round_no + 1))

    def explain_shortfall(self) -> tuple[str, ...]:
        """A sentence for each trait and pole that lacks exemplars: how many, and the commonest reasons."""
        sentences = []
        for trait in self.plan.model.traits:
            for pole in POLES:
                lacking = self.choice.shortfall[trait.key, pole]
                if lacking:
                    rejected = [item for item in self.choice.rejected if item.trait == trait.key and item.pole == pole]
                    kept = self.plan.wanted - lacking
                    sentences.append(
                        f"{trait.key}, {pole} ({trait.label(pole)}): {kept} of {self.plan.wanted}, {lacking} lacking "
                        f"after {self.round_no} rounds. {_explain_reasons(rejected)}"
                    )
        return tuple(sentences)

    def explain_review(self) -> tuple[str, ...]:
        """A sentence for each shortcut of the choice, and for each trait some of whose exemplars the probe names."""
        traits = {trait.key: trait for trait in self.plan.model.traits}
        sentences = [
            f"{probe.trait}: {len(probe.wrong_side)} of its exemplars lie on the other pole's side by the probe"
            for probe in self.review.probes
            if probe.wrong_side
        ]
        # The gate itself warns of lengths from that strength on.
        told = [item for item in self.review.shortcuts if not (item.kind == "length" and item.auc > STRONG_AUC)]
        shortcuts = [item.describe(traits[item.trait].label(item.pole)) for item in told]
        return tuple(f"{sentence}." for sentence in (*sentences, *shortcuts))


def _without_pools(plan: Plan) -> Plan:
    """The plan without samples that say nothing of a choice: a model may have a million, and this one is pickled."""
    variations = tuple(item for item in plan.model.attached if item.seed_sha256)
    return replace(plan, model=replace(plan.model, attached=variations, held_out=()))


def _explain_reasons(rejected: Sequence[Exemplar]) -> str:
    if not rejected:
        return "Nothing came back for it."
    counts = Counter(exemplar.reason or "surplus" for exemplar in rejected)
    parts = []
    for reason, count in counts.most_common(3):
        example = next(exemplar for exemplar in rejected if exemplar.reason == reason)
        # What a provider said of its failure is in the log; a set made again from kept replies does not have it.
        said = "the call failed for good" if reason == "cell_failed" else example.detail or example.text or "no text"
        parts.append(f"{count} × {reason} (such as: {said[:120]})")
    return f"Of {len(rejected)} rejected: " + "; ".join(parts) + "."
