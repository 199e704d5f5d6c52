"""Count the rejections by an author's rules and questions. The caller passes the rules, which belong to the gate."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.domain.samples import Exemplar, Reason

# A rule ends the run if it rejects this share of at least this many candidates that passed all earlier checks.
HOPELESS_SHARE, HOPELESS_CANDIDATES = 0.9, 20
QUOTED = 3

# Applies the rules of a model's author: returns the exemplars in order, and rejects those with a violation.
OwnRules = Callable[[Sequence[Exemplar]], Awaitable[list[Exemplar]]]


@dataclass(frozen=True, slots=True)
class HopelessRule:
    """A rule or question of the author that rejects nearly all candidates, with some rejected texts."""

    reason: Reason
    rule: str
    rejected: int
    candidates: int
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnTally:
    """Counts, over a run, of the candidates for the author's rules and questions, and of the rejections by each.

    Args:
        candidates: by reason code.
        rejected: the rejected texts, by reason code and the rule or question.
    """

    candidates: Mapping[Reason, int] = field(default_factory=dict)
    rejected: Mapping[tuple[Reason, str], tuple[str, ...]] = field(default_factory=dict)

    def add(self, reason: Reason, exemplars: Iterable[Exemplar]) -> "OwnTally":
        """Return the counts with exemplars to which the rules or questions with this reason code were applied."""
        count, rejected = self.candidates.get(reason, 0), dict(self.rejected)
        for item in exemplars:
            count += item.is_accepted or item.reason == reason
            if item.reason == reason:
                rejected[reason, item.detail] = (*rejected.get((reason, item.detail), ()), item.text or "")
        return OwnTally({**self.candidates, reason: count}, rejected)

    def find_hopeless(self) -> HopelessRule | None:
        """Find a rule or question that rejected nine of ten candidates, out of twenty or more."""
        for (reason, rule), texts in self.rejected.items():
            count = self.candidates[reason]
            if count >= HOPELESS_CANDIDATES and len(texts) >= HOPELESS_SHARE * count:
                return HopelessRule(reason, rule, len(texts), count, texts[:QUOTED])
        return None
