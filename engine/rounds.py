"""Rounds: what to ask for next, until every quota is met or the effort's rounds are spent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from engine.choose import Choice, choose_exemplars
from engine.language import expect_language, name_language
from engine.model import POLES
from engine.plan import Cell, Plan, Spent, add_spent, plan_round
from engine.samples import Exemplar
from engine.screen import Screener
from engine.variation import count_uses


class Rounds:
    """The state of one run between its rounds. Each round is a function of the plan and the replies before it.

    Args:
        draws: calls for one scenario and pole in the first round and after.
    """

    def __init__(self, plan: Plan, screener: Screener, draws: int) -> None:
        self.plan = plan
        self.screener = screener
        self.language = name_language(expect_language(plan.model))
        self.round_no = 0
        self.exemplars: tuple[Exemplar, ...] = ()
        self.choice: Choice = choose_exemplars(plan, ())
        self._draws = draws
        self._spent = Spent({})

    def next_cells(self) -> tuple[Cell, ...]:
        """The cells of the next round; none when the quotas are met or the rounds are spent."""
        if self.choice.complete or self.round_no > self.plan.level.top_up_rounds:
            return ()
        self.round_no += 1
        lack = self.choice.lack if self.round_no > 1 else self.plan.full_lack()
        kept = count_uses(self.plan.model, self.choice.chosen)
        cells = plan_round(self.plan, self.round_no, lack, replace(self._spent, kept=kept), self._draws)
        self._spent = add_spent(self._spent, cells)
        return cells

    def screen(self, exemplars: Sequence[Exemplar]) -> list[Exemplar]:
        """The round's exemplars after the rules."""
        return self.screener.screen(exemplars)

    def take(self, exemplars: Sequence[Exemplar]) -> Choice:
        """Adds a round's screened (and judged) exemplars and chooses anew among all."""
        self.exemplars += tuple(exemplars)
        self.choice = choose_exemplars(self.plan, self.exemplars)
        return self.choice

    def explain_lack(self) -> tuple[str, ...]:
        """A sentence for each trait and pole that lacks exemplars: how many, and the commonest reasons."""
        sentences = []
        for trait in self.plan.model.traits:
            for pole in POLES:
                lacking = self.choice.lack[trait.key, pole]
                if lacking:
                    rejected = [item for item in self.choice.rejected if item.trait == trait.key and item.pole == pole]
                    kept = self.plan.wanted - lacking
                    sentences.append(
                        f"{trait.key}, {pole} ({trait.label(pole)}): {kept} of {self.plan.wanted}, {lacking} lacking "
                        f"after {self.round_no} rounds. {_explain_reasons(rejected)}"
                    )
        return tuple(sentences)


def _explain_reasons(rejected: Sequence[Exemplar]) -> str:
    if not rejected:
        return "Nothing came back for it."
    counts = Counter(exemplar.reason or "surplus" for exemplar in rejected)
    parts = []
    for reason, count in counts.most_common(3):
        example = next(exemplar for exemplar in rejected if exemplar.reason == reason)
        said = example.detail or example.text or "no text"
        parts.append(f"{count} × {reason} (such as: {said[:120]})")
    return f"Of {len(rejected)} rejected: " + "; ".join(parts) + "."
