"""Hold the state of a run between rounds, and plan the next round until the quotas are met or no rounds are left."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from engine.asking.plan import MIN_HOPELESS, Cell, CellHints, Plan, Shortfall, plan_round
from engine.asking.seed_variations import count_seed_uses
from engine.choosing.choice import Choice, choose_exemplars, keep_earlier_choice
from engine.choosing.probe import INSEPARABLE_ERRORS_ALONE
from engine.choosing.probe import MIN_AUC as MIN_PROBE_AUC
from engine.choosing.recheck import Decision, Recheck, decide, make_hints
from engine.choosing.shortcuts import STRONG_AUC, Shortcut
from engine.definitions.effort import name_higher_effort
from engine.domain.model import DEFINED_BY_WORDS, POLES, Pole
from engine.domain.samples import Exemplar, Reason, make_id
from engine.domain.unlabelled_texts import OwnTexts
from engine.llm.client.request import Prompt
from engine.screening.in_context_judge import MIN_AUC
from engine.screening.own_rules import HopelessRule, OwnTally
from engine.screening.screener import Screener, mask_numbers, reject_same_meanings
from engine.screening.sense import JudgeCalibration
from engine.store.index.samples import as_stored
from engine.system.worker_process import Executor
from engine.text.embedding import Embedder
from engine.text.formatting import capitalise, count_noun, describe_others, name_reason

# The share of the quota that one round may replace. Without this limit, a word in most texts of a pole would make a
# round request the whole quota again.
MAX_REPLACED = 0.25
# Reasons that depend on the reply alone, not on the request.
REPLY_REASONS: frozenset[Reason] = frozenset({"unreadable", "truncated", "refused", "wrong_language"})
# Reasons that say nothing about other replies: there was no reply, or it repeats another text.
NO_SIGN: frozenset[Reason] = frozenset({"cell_failed", "duplicate", "near_duplicate", "refused_before"})
INSEPARABLE = "no measure separates"
# With this many seeds a pole, more seeds are not the remedy.
ENOUGH_SEEDS = 8
MORE_SEEDS = "give each pole eight seeds or more that differ in the trait alone, or take a stronger synth model"
LOOK_AT_SEEDS = "make sure that its seeds differ in the trait alone, or take a stronger synth model"
WAYS_BACK = {
    "attached": "; `exemplars detach` with the run's id removes the set",
    "proposed": "; reject the set rather than attach it",
}
# The maximum number of ids in a warning; the report shows the id of each text.
NAMED_IDS = 6
LEARNED_INSTEAD = "A classifier may learn this instead of the trait"
REPLACE_THEM = "run at a higher effort, or give the effort more replacement_rounds (data/effort.yaml)"
LEVEL_SEEDS = (
    "rewrite your samples of the trait, which the synth model imitates, so that the poles do not differ in this"
)
ADD_SEEDS = "add samples in which the poles do not differ in this"
SAY_IN_BRIEF = "say in the brief's edge_cases that both poles may have it"
NOT_SHOWN = "The brief cannot help, because this model does not read it."


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
        self._only_clear = only_clear
        self._replaced = 0
        self._inseparable: Mapping[str, float] = {}
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
            near_misses=not self._only_clear,
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
        arguments = _without_pools(self.plan), self.exemplars, self.judge_aucs, self.embedder, self._only_clear
        return partial(decide, *arguments)

    def adopt(self, decision: Decision) -> Choice:
        """Adopt a choice made after ``prepare_choice``, unless an earlier one was complete and this one is not."""
        # Inseparable poles are measured on all accepted texts, so the newest measurement counts for both choices.
        choice, recheck, self._inseparable = decision.choice, decision.recheck, decision.inseparable
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
            for pole in (POLES if self._only_clear else (exemplar.pole,))
        )
        # Planning multiplies by the round number, because exemplars that are still missing in a later round are hard to
        # get. Replacements are not, so they are divided by it.
        most = math.ceil(MAX_REPLACED * self.plan.max_quota)
        return shortfall | {key: math.ceil(min(count, most) / (self.round_no + 1)) for key, count in to_replace.items()}

    def _pair_up(self, shortfall: Shortfall) -> dict[tuple[str, Pole], int]:
        """Return the shortfall, made equal for both poles if only pairs are chosen and the quotas differ."""
        if not self._only_clear or self.plan.missing is None:
            return dict(shortfall)
        return {(trait, pole): max(shortfall[trait, each] for each in POLES) for trait, pole in shortfall}

    def explain_shortfall(self) -> tuple[str, ...]:
        """Explain in a sentence for each trait and pole how many exemplars are missing, with the main reasons."""
        sentences = []
        for (trait, pole), missing in self.choice.shortfall.items():
            if missing:
                quota, label = self.plan.quotas[trait, pole], self.plan.model.trait(trait).label(pole)
                rejected = [item for item in self.choice.rejected if (item.trait, item.pole) == (trait, pole)]
                sentences.append(
                    f"{trait}, {pole} ({label}): {quota - missing} of {quota}, {missing} lacking after "
                    f"{count_noun(self.round_no, 'round')}. {_explain_reasons(rejected)}"
                )
        return tuple(sentences)

    def explain_inseparable(self, status: str = "rejected") -> dict[str, str]:
        """Explain by trait key what to do about surely inseparable poles that no judge confirms."""
        kept = {item.trait: f", {item.auc:.2f} in kept ones" for item in self.recheck.probes if item.auc is not None}
        sentences = {}
        for key, auc in self._inseparable.items():
            accepted = [item for item in self.exemplars if item.trait == key and item.is_accepted]
            if self.judge_aucs.get(key, 0.0) < MIN_AUC and not any(item.votes for item in accepted):
                poles = " from ".join(map(self.plan.model.trait(key).label, POLES))
                aucs = f"AUC {auc:.2f} in all {len(accepted)} accepted texts{kept.get(key, '')}"
                finding = f"{key}: {INSEPARABLE} {poles} ({aucs}): a classifier learns nothing from them"
                sentences[key] = f"{finding}. {capitalise(self._advise_sharper_poles(key, status))}"
        return sentences

    def warn_of_inseparable(self, status: str) -> dict[str, str]:
        """Warn by trait key about inseparable poles, and about poles that the probe hardly separates in the choice."""
        sentences = self.explain_inseparable(status)
        for probe in self.recheck.probes:
            if probe.is_inseparable and probe.trait not in sentences:
                auc, poles = probe.auc or 0.0, " and ".join(map(self.plan.model.trait(probe.trait).label, POLES))
                separated = f"separated {probe.separable}".replace("separated hardly", "hardly separated")
                is_sure = auc + INSEPARABLE_ERRORS_ALONE * probe.error < MIN_PROBE_AUC
                few = "" if is_sure else ", perhaps by chance, since there are so few"
                sentences[probe.trait] = (
                    f"{probe.trait}: {poles} are {separated} in the {len(probe.scores)} kept samples "
                    f"(AUC {auc:.2f}{few}). Read ten of each pole; if they read alike, "
                    f"{self._advise_sharper_poles(probe.trait, status)}"
                )
        return sentences

    def explain_recheck(self, status: str = "attached") -> tuple[str, ...]:
        """Explain each finding of the recheck on a set of this status, and what to do about it."""
        sentences = [
            f"{probe.trait}: {len(probe.wrong_side)} of its "
            f"{sum(exemplar.trait == probe.trait for exemplar in self.choice.chosen)} samples "
            f"{'reads' if len(probe.wrong_side) == 1 else 'read'} like the other pole. "
            f"{self._advise_removal(probe.wrong_side, status)}"
            for probe in self.recheck.probes
            if probe.wrong_side
        ]
        # The gate itself warns of lengths above this AUC.
        shortcuts = [
            f"{item.trait}: {item.describe(self.plan.model.trait(item.trait).label(item.pole))}. {self._advise(item)}"
            for item in self.recheck.shortcuts
            if not (item.kind == "length" and item.auc > STRONG_AUC)
        ]
        return (*self.warn_of_inseparable(status).values(), *sentences, *shortcuts)

    def _advise_sharper_poles(self, trait: str, status: str) -> str:
        fewest = min(len(self.plan.model.seeds_at(trait, pole)) for pole in POLES)
        return f"{MORE_SEEDS if fewest < ENOUGH_SEEDS else LOOK_AT_SEEDS}{WAYS_BACK.get(status, '')}."

    def _advise_removal(self, keys: Collection[str], status: str) -> str:
        handle = self.plan.model.handle
        ids = [str(make_id(handle, item.trait, item.text or "")) for item in self.choice.chosen if item.key in keys]
        first, more = ids[:NAMED_IDS], f" ({len(ids) - NAMED_IDS} more there)" if len(ids) > NAMED_IDS else ""
        advice = f"Read the samples that the report's table marks{more}"
        if status == "rejected":
            return f"{advice}."
        if status == "proposed":
            leave_out = " ".join(f"--leave-out {number}" for number in first)
            return f"{advice}, and leave out those with a wrong label when you attach: {leave_out}"
        return f"{advice}, and remove those with a wrong label: exemplars remove {handle} {' '.join(first)}"

    def _advise(self, shortcut: Shortcut) -> str:
        """Advise what to do about a shortcut: the remedies that work for the run's effort, synth model and seeds."""
        has_seeds = any(self.plan.model.seeds_at(shortcut.trait, pole) for pole in POLES)
        remedies = []
        if shortcut.is_in_single_texts and not self.plan.level.replacement_rounds:
            remedies.append(name_higher_effort(REPLACE_THEM, self.plan.level.effort))
        if has_seeds:
            remedies.append(LEVEL_SEEDS)
        elif self._only_clear:
            remedies.append(ADD_SEEDS)
        if not self._only_clear:
            remedies.append(SAY_IN_BRIEF)
        return f"{LEARNED_INSTEAD}: {', or '.join(remedies)}.{f' {NOT_SHOWN}' if self._only_clear else ''}"


def _without_pools(plan: Plan) -> Plan:
    """Return the plan without samples that do not affect the choice. It is pickled, and a model may have a million."""
    variations = as_stored(plan.model.attached).list_variations()
    seeds = plan.model.seeds if plan.synth_type == "diversify" else ()
    model = replace(
        plan.model, seeds=seeds, attached=variations, texts=OwnTexts(), reviewed=(), held_out=(), proposed=()
    )
    return replace(plan, model=model)


def _explain_reasons(rejected: Sequence[Exemplar]) -> str:
    if not rejected:
        return "Nothing came back for it."
    counts = Counter(exemplar.reason or "surplus" for exemplar in rejected)
    parts = []
    for reason, count in counts.most_common(3):
        example = next(exemplar for exemplar in rejected if exemplar.reason == reason)
        # The provider's message is only in the log: it is missing when a set is made again from stored replies.
        quote = "the call failed for good" if reason == "cell_failed" else example.detail or example.text or "no text"
        parts.append(f"{count} × {name_reason(reason)} (such as: {quote[:120]})")
    others = describe_others(len(rejected) - counts["surplus"], counts["surplus"])
    return f"{others}: {'; '.join(parts)}."
