"""Describe the cost of a run's replies, in words and figures. The column ``cost_usd`` has the cost of each row."""

from typing import Any

from engine.estimate.estimate import name_unpriced
from engine.llm.gateway.budget import RunBudget
from engine.text.formatting import count_noun, format_cost

# A billionth of a dollar: further digits are rounding errors of adding many floats.
DIGITS = 9


def describe_costs(budget: RunBudget, kept: int) -> dict[str, Any]:
    """Return the costs for ``verdict.json``; ``kept`` is the number of exemplars that the run has chosen."""
    return {
        "usd": _round(budget.cost_usd),
        "replies": budget.replies,
        "prompt_tokens": budget.prompt_tokens,
        "cached_tokens": budget.cached_tokens,
        "completion_tokens": budget.tokens,
        "per_kept_sample_usd": None if budget.cost_usd is None or not kept else _round(budget.cost_usd / kept),
        "limit_usd": budget.max_usd,
        "unpriced": sorted(budget.unpriced),
        "possibly_billed": {"calls": budget.unanswered_calls, "usd": _round(budget.unconfirmed_usd)},
    }


def list_remarks(budget: RunBudget) -> list[str]:
    """Return sentences on the limit, the savings of batches, calls without a reply, and models without a price."""
    if budget.is_free:
        return []
    sentences = []
    if budget.max_usd is not None:
        sentences.append(f"The run's limit was {format_cost(budget.max_usd)}.")
    if budget.saved_usd > 0:
        sentences.append(f"Live, it would have cost {format_cost(budget.saved_usd)} more: batches saved that.")
    if budget.unanswered_calls:
        at_most = f" for {format_cost(budget.unconfirmed_usd)} at most," if budget.unconfirmed_usd else ""
        sentences.append(
            f"{count_noun(budget.unanswered_calls, 'call')} had no reply. The provider may have billed that all the "
            f"same,{at_most} and it is not counted here."
        )
    if budget.unpriced:
        sentences.append(f"{name_unpriced(sorted(budget.unpriced), begins=True)}.")
    return sentences


def describe_spending(budget: RunBudget) -> str:
    """Describe the cost of a run in a few words."""
    if budget.is_free:
        return "nothing"
    names = ", ".join(sorted(budget.unpriced))
    if budget.cost_usd is None:
        return f"not known for {names}" if names else format_cost(None)
    return format_cost(budget.cost_usd) + (f" without {names}" if names else "")


def format_tokens(budget: RunBudget) -> str:
    """Format tokens: “12,000 in, 3,000 of them cached, 800 out”."""
    cached = f", {budget.cached_tokens:,} of them cached" if budget.cached_tokens else ""
    return f"{budget.prompt_tokens:,} in{cached}, {budget.tokens:,} out"


def _round(usd: float | None) -> float | None:
    return None if usd is None else round(usd, DIGITS)
