"""The state of a run between its rounds: a value, from which the next round, the gate and the report are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.asking.plan import MIN_HOPELESS, Cell, CellHints, Plan
from engine.choosing.choice import Choice, choose_exemplars
from engine.choosing.recheck import Recheck
from engine.domain.definition import Pole
from engine.domain.samples import Exemplar, Reason, Row, RunStamp, make_row
from engine.llm.client.request import Prompt
from engine.screening.own_rules import HopelessRule, OwnTally
from engine.screening.sense import JudgeCalibration

# Reasons that depend on the reply alone, not on the request.
REPLY_REASONS: frozenset[Reason] = frozenset({"unreadable", "truncated", "refused", "wrong_language"})
# Reasons that say nothing about other replies: there was no reply, or it repeats another text.
NO_SIGN: frozenset[Reason] = frozenset({"cell_failed", "duplicate", "near_duplicate", "refused_before"})


@dataclass(frozen=True, slots=True)
class RunState:
    """The state of a run after a round.

    Args:
        choice: the choice among all exemplars so far.
        subjects_plan_id: the id of the plan that stores the reply with the proposed subjects. Without that reply, this
            plan cannot be repeated.
        only_clear: whether the synth model completes plain text. Such a model is not shown the brief, and is so weak
            that only pairs with poles clearly in the right order are chosen.
        round_no: the number of the last planned round; 0 before the first.
        rounds_screened: the number of rounds with screened exemplars.
        replacement_rounds: the number of rounds that were planned to replace exemplars.
        cells: the cells of all planned rounds.
        exemplars: all screened exemplars.
        prompts: the prompts of the exemplars, by ``Exemplar.prompt_sha256``.
        judge_aucs: the AUC of the in-context judge, by trait key.
        sense_trial: the calibration of the chat judge, if it was calibrated.
        inseparable: the AUC of all accepted exemplars, by trait key, of each trait with inseparable poles.
        hints: hints for the next round's cells, by trait key and pole.
    """

    plan: Plan
    choice: Choice
    subjects_plan_id: str
    only_clear: bool = False
    round_no: int = 0
    rounds_screened: int = 0
    replacement_rounds: int = 0
    cells: tuple[Cell, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    recheck: Recheck = field(default_factory=Recheck)
    judge_aucs: Mapping[str, float] = field(default_factory=dict)
    sense_trial: JudgeCalibration | None = None
    own_tally: OwnTally = field(default_factory=OwnTally)
    inseparable: Mapping[str, float] = field(default_factory=dict)
    hints: Mapping[tuple[str, Pole], CellHints] = field(default_factory=dict)

    def count_kept(self) -> dict[tuple[str, Pole], int]:
        """Count the exemplars chosen so far, by trait key and pole."""
        return {key: self.plan.quotas[key] - missing for key, missing in self.choice.shortfall.items()}

    def make_rows(self, stamp: RunStamp, exemplars: Sequence[Exemplar]) -> list[Row]:
        """Return the rows of exemplars, in cell order; ``samples.parquet`` has the rows of the chosen ones."""
        ordered = sorted(exemplars, key=lambda exemplar: (exemplar.order, exemplar.number))
        return [self.make_row(stamp, exemplar) for exemplar in ordered]

    def make_row(self, stamp: RunStamp, exemplar: Exemplar) -> Row:
        """Return a row; a chosen exemplar has a ``pair_id`` only if both poles of its pair are chosen.

        The pair id begins with the plan id, so that it is unique among all plans.
        """
        whole = exemplar.pair_id in self.choice.paired or exemplar.reason is not None
        pair_id = f"{self.plan.plan_id[:12]}/{exemplar.pair_id}" if whole else None
        return make_row(exemplar, stamp, pair_id)

    @property
    def is_hopeless(self) -> bool:
        """Return whether all replies of the first round were rejected for reasons in ``REPLY_REASONS``, so that more
        rounds would be paid for in vain. Failed calls and texts that repeat another do not count.
        """
        first = [exemplar.reason for exemplar in self.exemplars if exemplar.reason not in NO_SIGN]
        return self.rounds_screened == 1 and len(first) >= MIN_HOPELESS and REPLY_REASONS.issuperset(first)

    @property
    def hopeless_rule(self) -> HopelessRule | None:
        """Return the author's rule that makes more rounds hopeless; None if there is none or the quotas are met."""
        return self.own_tally.find_hopeless() if any(self.choice.shortfall.values()) else None


def begin_state(plan: Plan, only_clear: bool = False, subjects_plan_id: str = "") -> RunState:
    """Return the state of a run before its first round; the proposed subjects are by default stored with the plan."""
    return RunState(plan, choose_exemplars(plan, ()), subjects_plan_id or plan.plan_id, only_clear)
