"""Formats a run's costs for the report and the run page: the rows of the table and the sentences around it."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain.model import Pole
from engine.estimate.wording import name_unpriced
from engine.report.costs import Costs, Spending
from engine.report.wording import TraitWords
from engine.text.formatting import count_noun, format_cost

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class CostRow:
    """The costs of one trait at one pole, formatted."""

    trait: TraitWords
    pole: Pole
    spent: str
    kept: str
    per_kept: str


@dataclass(frozen=True, slots=True)
class CostSum:
    """A summary line below the rows; a figure that it does not have is empty."""

    name: str
    spent: str
    kept: str = ""
    per_kept: str = ""


def list_pole_costs(costs: Costs, traits: Sequence[TraitWords]) -> list[CostRow]:
    """Lists the table's rows; none if the run was free, or no price is known."""
    if costs.is_free or costs.total.usd is None:
        return []
    words = {trait.key: trait for trait in traits}
    return [
        CostRow(words[pole.trait], pole.pole, _format_cell(pole.usd), f"{pole.kept:,}", _format_cell(pole.usd_per_kept))
        for pole in costs.poles
        if pole.trait in words
    ]


def list_sums(costs: Costs) -> list[CostSum]:
    """Lists the lines below the table: what belongs to no trait, and the total."""
    kept = sum(pole.kept for pole in costs.poles)
    return [
        CostSum("Shared by all", _format_cell(costs.shared_usd)),
        CostSum("Together", _format_cell(costs.total.usd), f"{kept:,}", _format_cell(costs.per_kept_usd)),
    ]


def list_remarks(costs: Costs) -> list[str]:
    """Lists sentences on the limit, the provider's cache, calls without a reply, and models without a price."""
    if costs.is_free:
        return []
    bill, total = costs.bill, costs.total
    sentences = []
    if bill.limit_usd is not None:
        sentences.append(f"The run's limit was {format_cost(bill.limit_usd)}.")
    if total.cached_tokens:
        saved = f", which saved {format_cost(total.saved_usd)}" if total.saved_usd else ""
        sentences.append(f"Of the tokens in, {total.cached_tokens:,} were in the provider's cache{saved}.")
    if bill.unanswered_calls:
        many = bill.unanswered_calls > 1
        at_most = f", for {format_cost(bill.unanswered_usd)} at most" if bill.unanswered_usd else ""
        sentences.append(
            f"{count_noun(bill.unanswered_calls, 'call')} had no reply. The provider may have billed "
            f"{'them' if many else 'it'} all the same{at_most}; {'they are' if many else 'it is'} not counted here."
        )
    if costs.unpriced:
        sentences.append(f"{name_unpriced(costs.unpriced, begins=True)}.")
    return sentences


def describe_spending(costs: Costs) -> str:
    """Describes the cost of a run in a few words."""
    if costs.is_free:
        return "nothing"
    if costs.total.usd is None:
        return f"not known for {', '.join(costs.unpriced)}" if costs.unpriced else format_cost(None)
    return f"{format_cost(costs.total.usd)}{' without ' + ', '.join(costs.unpriced) if costs.unpriced else ''}"


def format_tokens(total: Spending) -> str:
    """Formats tokens: “12,000 in, 3,000 of them cached, 800 out”."""
    cached = f", {total.cached_tokens:,} of them cached" if total.cached_tokens else ""
    return f"{total.prompt_tokens:,} in{cached}, {total.completion_tokens:,} out"


def _format_cell(usd: float | None) -> str:
    return NOTHING if usd is None else format_cost(usd)
