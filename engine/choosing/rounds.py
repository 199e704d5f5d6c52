"""Hold the state of a run between rounds, and plan the next round until the quotas are met or no rounds are left."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from engine.asking.plan import MIN_HOPELESS, Cell, CellHints, Plan, Shortfall, plan_round
from engine.asking.seed_variations import count_seed_uses
from engine.choosing.choice import Choice, choose_exemplars, keep_earlier_choice
from engine.choosing.recheck import Decision, Recheck, decide, make_hints
from engine.domain.definition import Pole
from engine.domain.model import DEFINED_BY_WORDS, POLES, Existing
from engine.domain.samples import Exemplar, Reason
from engine.domain.unlabelled_texts import OwnTexts
from engine.llm.client.request import Prompt
from engine.screening.own_rules import HopelessRule, OwnTally
from engine.screening.screener import Screener, mask_numbers, reject_same_meanings
from engine.screening.sense import JudgeCalibration
from engine.store.index.samples import as_stored
from engine.system.worker_process import Executor
from engine.text.embedding import Embedder

# The share of the quota that one round may replace. Without this limit, a word in most texts of a pole would make a
# round request the whole quota again.
MAX_REPLACED = 0.25
# Reasons that depend on the reply alone, not on the request.
REPLY_REASONS: frozenset[Reason] = frozenset({"unreadable", "truncated", "refused", "wrong_language"})
# Reasons that say nothing about other replies: there was no reply, or it repeats another text.
NO_SIGN: frozenset[Reason] = frozenset({"cell_failed", "duplicate", "near_duplicate", "refused_before"})


class Rounds:
    """The state of one run between its rounds. Each round depends only on the plan and the replies before it.

    Args:
        only_clear: whether the synth model completes plain text. Such a model is not shown the brief, and is so weak
            that only pairs with poles clearly in the right order are chosen.
    """

    def __init__(self, plan: Plan, screener: Screener, embedder: Embedder, only_clear: bool) -> None:
        self.plan = plan
        self.screener = screener
        self.embedder = embedder
        # The id of the plan that stores the reply with the proposed subjects. Without it this plan cannot be repeated.
        self.subjects_plan_id = plan.plan_id
        self.round_no = 0
        self.taken = 0
        self.exemplars: tuple[Exemplar, ...] = ()
        # Keys are ``Exemplar.prompt_sha256``.
        self.prompts: dict[str, Prompt] = {}
        self.choice: Choice = choose_exemplars(plan, ())
        self.recheck = Recheck()
        self.judge_aucs: Mapping[str, float] = {}
        self.sense_trial: JudgeCalibration | None = None
        self.own_tally = OwnTally()
        self.only_clear = only_clear
        self._replaced = 0
        # The AUC of all accepted exemplars, by trait key, of each trait with inseparable poles.
        self.inseparable: Mapping[str, float] = {}
        self._cells: tuple[Cell, ...] = ()
        self._hints: Mapping[tuple[str, Pole], CellHints] = {}

    def next_cells(self) -> tuple[Cell, ...]:
        """Plan the cells of the next round; none if the quotas are met, no rounds are left, or more is hopeless."""
        if self.round_no > self.plan.level.top_up_rounds or self.is_hopeless or self.hopeless_rule:
            return ()
        shortfall = self._find_shortfall()
        if not any(shortfall.values()):
            return ()
        self.round_no += 1
        cells = plan_round(
            self.plan,
            self.round_no,
            shortfall,
            self._cells,
            kept=count_seed_uses(self.plan.model, self.choice.chosen),
            near_misses=not self.only_clear,
            hints=self._hints,
        )
        self._cells += cells
        return cells

    async def embed(self, exemplars: Sequence[Exemplar], run_in_worker: Executor) -> None:
        """Embed all new texts, for the report; for accepted ones also their subjects and the texts without numbers."""
        if self.plan.language.encoder_supports_language:
            written = [item for item in exemplars if item.text]
            accepted = [item for item in written if item.is_accepted]
            masked = [mask_numbers(item.text or "") for item in accepted]
            described = [item for item in accepted if self.plan.model.trait(item.trait).type not in DEFINED_BY_WORDS]
            subjects = [item.scenario.subject for item in described]
            await self.embedder.embed_ahead([*(item.text or "" for item in written), *masked, *subjects], run_in_worker)

    def screen_meanings(self, exemplars: Sequence[Exemplar]) -> list[Exemplar]:
        """Reject screened exemplars of a round that repeat the meaning of a seed or an earlier exemplar."""
        if not self.plan.language.encoder_supports_language:
            return list(exemplars)
        return reject_same_meanings(self.plan.model, exemplars, self.exemplars, self.embedder)

    def prepare_choice(self, exemplars: Sequence[Exemplar]) -> Callable[[], Decision]:
        """Add a round's screened and judged exemplars; return a function that chooses again, which can be pickled."""
        self.exemplars += tuple(exemplars)
        self.taken += 1
        arguments = _without_pools(self.plan), self.exemplars, self.judge_aucs, self.embedder, self.only_clear
        return partial(decide, *arguments)

    def adopt(self, decision: Decision) -> Choice:
        """Adopt a choice made after ``prepare_choice``, unless an earlier one was complete and this one is not."""
        # Inseparable poles are measured on all accepted texts, so the newest measurement counts for both choices.
        choice, recheck, self.inseparable = decision.choice, decision.recheck, decision.inseparable
        if self.choice.complete and not choice.complete:
            # Pole scores depend on all accepted exemplars, so newer exemplars may make the margin of an earlier pair
            # too narrow.
            self.choice = keep_earlier_choice(self.choice, choice)
        else:
            self.choice, self.recheck = choice, recheck
        self._hints = make_hints(self.plan, self.choice, self.recheck, decision.pole_scores)
        return self.choice

    def count_kept(self) -> dict[tuple[str, Pole], int]:
        """Count the exemplars chosen so far, by trait key and pole."""
        return {key: self.plan.quotas[key] - missing for key, missing in self.choice.shortfall.items()}

    @property
    def is_hopeless(self) -> bool:
        """Return whether all replies of the first round were rejected for reasons in ``REPLY_REASONS``, so that more
        rounds would be paid for in vain. Failed calls and texts that repeat another do not count.
        """
        first = [exemplar.reason for exemplar in self.exemplars if exemplar.reason not in NO_SIGN]
        return self.taken == 1 and len(first) >= MIN_HOPELESS and REPLY_REASONS.issuperset(first)

    @property
    def hopeless_rule(self) -> HopelessRule | None:
        """Return the author's rule that makes more rounds hopeless; None if there is none or the quotas are met."""
        return self.own_tally.find_hopeless() if any(self.choice.shortfall.values()) else None

    def _find_shortfall(self) -> dict[tuple[str, Pole], int]:
        """Return the shortfall; if there is none, the number of replacements, while replacement rounds are left."""
        if self.round_no == 0:
            return self._pair_up(self.plan.quotas)
        shortfall = self._pair_up(self.choice.shortfall)
        if any(shortfall.values()) or self._replaced >= self.plan.level.replacement_rounds:
            return shortfall
        self._replaced += 1
        to_replace = Counter(
            (exemplar.trait, pole)
            for exemplar in self.choice.chosen
            if exemplar.key in self.recheck.to_replace
            for pole in (POLES if self.only_clear else (exemplar.pole,))
        )
        # Planning multiplies by the round number, because exemplars that are still missing in a later round are hard to
        # get. Replacements are not, so they are divided by it.
        most = math.ceil(MAX_REPLACED * self.plan.max_quota)
        return shortfall | {key: math.ceil(min(count, most) / (self.round_no + 1)) for key, count in to_replace.items()}

    def _pair_up(self, shortfall: Shortfall) -> dict[tuple[str, Pole], int]:
        """Return the shortfall, made equal for both poles if only pairs are chosen and the quotas differ."""
        if not self.only_clear or self.plan.missing is None:
            return dict(shortfall)
        return {(trait, pole): max(shortfall[trait, each] for each in POLES) for trait, pole in shortfall}


def _without_pools(plan: Plan) -> Plan:
    """Return the plan without samples that do not affect the choice. It is pickled, and a model may have a million."""
    variations = as_stored(plan.model.existing.attached).list_variations()
    seeds = plan.model.seeds if plan.synth_type == "diversify" else ()
    existing = Existing(attached=variations, refused=plan.model.existing.refused)
    return replace(plan, model=replace(plan.model, seeds=seeds, texts=OwnTexts(), existing=existing))
