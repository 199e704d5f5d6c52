"""Writes the sentences in which the log and the dry run present an estimate."""

from collections.abc import Sequence

from engine.errors import BudgetError, SharedBudgetError
from engine.estimate.estimate import Estimate
from engine.llm.client.prices import Price
from engine.text.formatting import count_noun, format_cost

ASSUMED = (
    "Likely is a second round for a tenth of the quota; at most, every round is full, and every reply at its limit, "
    "with all that a model may think before it."
)


def format_estimate(estimate: Estimate) -> str:
    """Formats an estimate in one line: likely calls, tokens and cost with their bounds, the limit, and kept replies."""
    likely, most = estimate.total.likely, estimate.total.most
    tokens_in = _bound(_shorten(likely.tokens_in), "tokens in", _shorten(most.tokens_in))
    tokens_out = _bound(_shorten(likely.tokens_out), "out", _shorten(most.tokens_out))
    calls = _bound(f"{likely.calls:,}", "calls", f"{most.calls:,}")
    parts = [calls, f"{tokens_in}, {tokens_out}", *_format_costs(estimate)]
    if estimate.kept:
        parts.append(f"{count_noun(estimate.kept, 'reply', 'replies')} kept already, which cost nothing more")
    return f"Estimate: {'; '.join(parts)}"


def explain_estimate(estimate: Estimate) -> tuple[str, ...]:
    """Writes a sentence for each price, one for models without a price and one for the limit."""
    sentences = [_describe_price(name, price) for name, price in estimate.prices.items() if price]
    if estimate.unpriced:
        sentences.append(f"{name_unpriced(estimate.unpriced, begins=True)}.")
    if estimate.limit_usd is not None and not estimate.unpriced and not estimate.is_free:
        sentences.append(f"A run ends before it passes its limit of {format_cost(estimate.limit_usd)}.")
    return tuple(sentences)


def explain_budget(
    error: BudgetError, estimate: Estimate, spent_usd: float, kept: int = 0, lacking: int = 0
) -> BudgetError:
    """Adds to the error of a run that reached its limit what the rest of the run would need.

    That leaves room for one more call, which a limit has to. The error of a limit that is shared with other runs is
    returned unchanged, since their needs are not known.

    Args:
        kept: exemplars chosen so far. Each of the ``lacking`` ones is expected to cost as much as these did on average.
            While none is chosen, the rest is what is left of the likely estimate, or else of the bound.
    """
    if isinstance(error, SharedBudgetError):
        return error
    expected = (estimate.total.likely.cost_usd or 0.0, estimate.total.most.cost_usd or 0.0)
    left = next((cost - spent_usd for cost in expected if cost > spent_usd), None)
    rest = lacking * spent_usd / kept if kept else left
    if rest is None:
        return BudgetError(f"{error}. How much the rest would need is not known: nothing has been kept so far")
    rest += estimate.max_call_usd or 0.0
    limit = format_cost(spent_usd + rest)
    return BudgetError(f"{error}. The rest would need about {format_cost(rest)} more, a limit of {limit} in all")


def name_unpriced(names: Sequence[str], begins: bool = False) -> str:
    """Writes a clause that no price is known for some models; ``begins`` says that it begins a sentence."""
    said = f"{'No' if begins else 'no'} price is known for {', '.join(names)}"
    return f"{said}: {'its' if len(names) == 1 else 'their'} cost is not counted"


def _format_costs(estimate: Estimate) -> list[str]:
    if estimate.is_free:
        return ["it costs nothing"]
    likely, most = estimate.total.likely.cost_usd, estimate.total.most.cost_usd
    parts = [] if likely is None else [_bound(format_cost(likely), "", format_cost(most))]
    if estimate.unpriced:
        parts.append(name_unpriced(estimate.unpriced))
    if estimate.limit_usd is not None:
        parts.append(f"the limit is {format_cost(estimate.limit_usd)}")
    return parts


def _describe_price(name: str, price: Price) -> str:
    if not price.input_usd and not price.output_usd:
        return f"{name} costs nothing."
    million = [format_cost(usd * 1e6) for usd in (price.input_usd, price.output_usd)]
    return f"Price of {name}: {million[0]} in and {million[1]} out for a million tokens."


def _bound(likely: str, unit: str, most: str) -> str:
    """Puts a bound behind a figure: “385 calls (at most 8,961)”."""
    return f"{likely} {unit}".rstrip() + ("" if likely == most else f" (at most {most})")


def _shorten(number: int) -> str:
    """Shortens a large number: “9,800”, “299 k”, “11.1 M”."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1e3:,.0f} k" if number < 1_000_000 else f"{number / 1e6:,.1f} M"
