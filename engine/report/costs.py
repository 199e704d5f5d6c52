"""Adds up what a run's replies cost, by trait and pole, with the shared rest; the report and verdict.json show it."""

from dataclasses import asdict, dataclass
from typing import Any

from engine.choosing.rounds import Rounds
from engine.domain.model import POLES, Pole
from engine.llm.client.prices import add_costs
from engine.llm.gateway.budget import RunBudget

# A billionth of a dollar: digits beyond that are rounding noise of adding many floats.
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Spending:
    """Replies, tokens and cost. ``usd`` is that of replies with a known price; None if there are none.

    ``cached_tokens`` are prompt tokens that the provider had in its cache, ``saved_usd`` is what they would have cost
    more without it.
    """

    usd: float | None = None
    replies: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    saved_usd: float = 0.0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Bill:
    """What a run has spent, and what its calls may have cost besides.

    ``unanswered_calls`` are calls whose reply never came, which the provider may have billed nevertheless, for
    ``unanswered_usd`` at most. ``unpriced`` names the models that had no price.
    """

    spent: Spending = Spending()
    limit_usd: float | None = None
    unpriced: tuple[str, ...] = ()
    unanswered_calls: int = 0
    unanswered_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class PoleCost:
    """The cost of all rows of one trait at one pole, kept and rejected, and how many were kept."""

    trait: str
    pole: Pole
    usd: float | None
    kept: int

    @property
    def usd_per_kept(self) -> float | None:
        """The cost per kept exemplar, rejected ones included."""
        return _share(self.usd, self.kept)


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of a run: the total, the cost of the rows by trait and pole, and the rest.

    ``shared_usd`` is the rest, which belongs to no row: proposed subjects, the judge's calls on seeds, and a round that
    the limit cut short.
    """

    bill: Bill = Bill()
    poles: tuple[PoleCost, ...] = ()
    shared_usd: float | None = None

    @property
    def total(self) -> Spending:
        """Everything that the run has spent."""
        return self.bill.spent

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The names of models without a price, whose replies are in no cost."""
        return self.bill.unpriced

    @property
    def per_kept_usd(self) -> float | None:
        """The total cost per kept exemplar."""
        return _share(self.total.usd, sum(pole.kept for pole in self.poles))

    @property
    def is_free(self) -> bool:
        """Whether the price of every call is known and nothing was paid."""
        return self.total.usd == 0 and not self.unpriced and not self.bill.unanswered_usd


def make_bill(budget: RunBudget) -> Bill:
    """Makes the bill of a run that has ended."""
    spent = Spending(
        budget.cost_usd,
        budget.replies,
        budget.prompt_tokens,
        budget.cached_tokens,
        budget.saved_usd,
        budget.tokens,
    )
    return Bill(
        spent, budget.max_cost_usd, tuple(sorted(budget.unpriced)), budget.unanswered_calls, budget.unanswered_usd
    )


def sum_costs(rounds: Rounds, bill: Bill) -> Costs:
    """Adds up the costs of a run; rows and shared costs make the total, to a billionth of a dollar."""
    poles = tuple(_sum_pole(rounds, trait.key, pole) for trait in rounds.plan.model.traits for pole in POLES)
    rows, spent = add_costs(*(pole.usd for pole in poles)), bill.spent.usd
    return Costs(bill, poles, None if spent is None else _round(spent - (rows or 0.0)))


def describe_costs(costs: Costs) -> dict[str, Any]:
    """Returns the costs as ``verdict.json`` has them."""
    total, bill = costs.total, costs.bill
    by_trait: dict[str, dict[str, Any]] = {}
    for pole in costs.poles:
        figures = {"usd": _round(pole.usd), "kept": pole.kept, "usd_per_kept": _round(pole.usd_per_kept)}
        by_trait.setdefault(pole.trait, {})[pole.pole] = figures
    return {
        **{name: _round(value) if name.endswith("usd") else value for name, value in asdict(total).items()},
        "by_trait": by_trait,
        "shared_usd": costs.shared_usd,
        "per_kept_sample_usd": _round(costs.per_kept_usd),
        "limit_usd": bill.limit_usd,
        "unpriced": list(costs.unpriced),
        "possibly_billed": {"calls": bill.unanswered_calls, "usd": _round(bill.unanswered_usd)},
    }


def _sum_pole(rounds: Rounds, trait: str, pole: Pole) -> PoleCost:
    own = [item.cost_usd for item in rounds.exemplars if item.trait == trait and item.pole == pole]
    return PoleCost(trait, pole, add_costs(*own), rounds.choice.count(trait, pole))


def _share(usd: float | None, count: int) -> float | None:
    return None if usd is None or not count else usd / count


def _round(usd: float | None) -> float | None:
    # Adding 0 makes the -0.0 of a rounded remainder 0.0.
    return None if usd is None else round(usd, DIGITS) + 0.0
