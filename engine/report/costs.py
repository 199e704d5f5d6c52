"""Says what a run's replies cost, in words and figures. What each row cost stands in its column ``cost_usd``."""

from dataclasses import dataclass
from typing import Any

from engine.estimate.estimate import name_unpriced
from engine.llm.gateway.budget import RunBudget
from engine.text.formatting import count_noun, format_cost

# A billionth of a dollar: digits beyond that are rounding noise of adding many floats.
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Bill:
    """What a run has spent, and what its calls may have cost besides.

    Args:
        usd: the cost of the replies with a known price; None if there are none.
        cached_tokens: prompt tokens that the provider had in its cache.
        unpriced: the models that had no price.
        unanswered_calls: calls whose reply never came, which the provider may have billed nevertheless, for
            ``unanswered_usd`` at most.
    """

    usd: float | None = None
    replies: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    limit_usd: float | None = None
    unpriced: tuple[str, ...] = ()
    unanswered_calls: int = 0
    unanswered_usd: float = 0.0

    @property
    def is_free(self) -> bool:
        """Whether the price of every call is known and nothing was paid."""
        return self.usd == 0 and not self.unpriced and not self.unanswered_usd


def make_bill(budget: RunBudget) -> Bill:
    """Makes the bill of a run that has ended."""
    return Bill(
        usd=budget.cost_usd,
        replies=budget.replies,
        prompt_tokens=budget.prompt_tokens,
        cached_tokens=budget.cached_tokens,
        completion_tokens=budget.tokens,
        limit_usd=budget.max_cost_usd,
        unpriced=tuple(sorted(budget.unpriced)),
        unanswered_calls=budget.unanswered_calls,
        unanswered_usd=budget.unanswered_usd,
    )


def describe_costs(bill: Bill, kept: int) -> dict[str, Any]:
    """Returns the costs as ``verdict.json`` has them; ``kept`` is how many exemplars the run has chosen."""
    return {
        "usd": _round(bill.usd),
        "replies": bill.replies,
        "prompt_tokens": bill.prompt_tokens,
        "cached_tokens": bill.cached_tokens,
        "completion_tokens": bill.completion_tokens,
        "per_kept_sample_usd": None if bill.usd is None or not kept else _round(bill.usd / kept),
        "limit_usd": bill.limit_usd,
        "unpriced": list(bill.unpriced),
        "possibly_billed": {"calls": bill.unanswered_calls, "usd": _round(bill.unanswered_usd)},
    }


def list_remarks(bill: Bill) -> list[str]:
    """Lists sentences on the limit, the provider's cache, calls without a reply, and models without a price."""
    if bill.is_free:
        return []
    sentences = []
    if bill.limit_usd is not None:
        sentences.append(f"The run's limit was {format_cost(bill.limit_usd)}.")
    if bill.unanswered_calls:
        at_most = f" for {format_cost(bill.unanswered_usd)} at most," if bill.unanswered_usd else ""
        sentences.append(
            f"{count_noun(bill.unanswered_calls, 'call')} had no reply. The provider may have billed that all the same,"
            f"{at_most} and it is not counted here."
        )
    if bill.unpriced:
        sentences.append(f"{name_unpriced(bill.unpriced, begins=True)}.")
    return sentences


def describe_spending(bill: Bill) -> str:
    """Describes the cost of a run in a few words."""
    if bill.is_free:
        return "nothing"
    if bill.usd is None:
        return f"not known for {', '.join(bill.unpriced)}" if bill.unpriced else format_cost(None)
    return f"{format_cost(bill.usd)}{' without ' + ', '.join(bill.unpriced) if bill.unpriced else ''}"


def format_tokens(bill: Bill) -> str:
    """Formats tokens: “12,000 in, 3,000 of them cached, 800 out”."""
    cached = f", {bill.cached_tokens:,} of them cached" if bill.cached_tokens else ""
    return f"{bill.prompt_tokens:,} in{cached}, {bill.completion_tokens:,} out"


def _round(usd: float | None) -> float | None:
    return None if usd is None else round(usd, DIGITS)
