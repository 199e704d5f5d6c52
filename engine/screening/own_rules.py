"""Count what an author's rules and questions reject; what runs the rules is handed over, since it is the gate's."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.domain.samples import Exemplar, Reason

# A rule that rejects such a share of so many candidates that passed everything else ends the run.
HOPELESS_SHARE, HOPELESS_CANDIDATES = 0.9, 20
QUOTED = 3

# Returns exemplars in order, those that break a rule of their model's author rejected.
OwnRules = Callable[[Sequence[Exemplar]], Awaitable[list[Exemplar]]]


@dataclass(frozen=True, slots=True)
class HopelessRule:
    """A rule or question of the author's by which nearly everything is rejected, and some of these texts."""

    reason: Reason
    rule: str
    rejected: int
    candidates: int
    texts: tuple[str, ...]


class OwnTally:
    """Count over a run the texts that came to the author's rules and questions, and those that each has rejected."""

    def __init__(self) -> None:
        self._came = Counter[Reason]()
        self._rejected: dict[tuple[Reason, str], list[str]] = {}

    def add(self, reason: Reason, exemplars: Iterable[Exemplar]) -> None:
        """Add exemplars as they come from the rules or questions, whose reason this is."""
        for item in exemplars:
            self._came[reason] += item.is_accepted or item.reason == reason
            if item.reason == reason:
                self._rejected.setdefault((reason, item.detail), []).append(item.text or "")

    def find_hopeless(self) -> HopelessRule | None:
        """Find what has rejected nine of ten texts, of twenty or more that came to it."""
        for (reason, rule), texts in self._rejected.items():
            came = self._came[reason]
            if came >= HOPELESS_CANDIDATES and len(texts) >= HOPELESS_SHARE * came:
                return HopelessRule(reason, rule, len(texts), came, tuple(texts[:QUOTED]))
        return None
