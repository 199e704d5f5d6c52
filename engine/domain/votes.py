"""Define the chat judge's votes on a text, decide their outcome, and count how often votes disagree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.domain.definition import Pole
from engine.domain.model import POLES

VoteAnswer = Literal["positive", "negative", "neither", "invalid"]
Outcome = Literal["positive", "negative", "neither"]


@dataclass(frozen=True, slots=True)
class Vote:
    """One vote of one judge. ``first`` is the pole shown first; ``answer`` is "invalid" if no reply was valid.

    ``sense`` is whether a person could have written the text and meant it, ``answers`` belong to the author's
    questions; each is None if not requested or unreadable. ``probability`` is the answer's, if a decision model
    returns it.
    """

    judge: str
    answer: VoteAnswer
    first: Pole
    sense: bool | None = None
    answers: tuple[tuple[str, bool | None], ...] = ()
    probability: float | None = None

    @property
    def position(self) -> int | None:
        """The chosen position in the prompt, 0 or 1; None if neither was chosen."""
        return None if self.answer in ("neither", "invalid") else int(self.answer != self.first)

    def to_entry(self) -> dict[str, object]:
        """Return the vote as an entry of the ``judge_votes`` column."""
        entry: dict[str, object] = {"judge": self.judge, "vote": self.answer, "order": f"{self.first} first"}
        entry |= {} if self.probability is None else {"probability": self.probability}
        entry |= {} if self.sense is None else {"sense": self.sense}
        return entry | ({"questions": dict(self.answers)} if self.answers else {})


@dataclass(frozen=True, slots=True)
class VoteCounts:
    """Counts over the votes of a run.

    ``disagreements`` counts texts whose votes differ, ``ties`` votes for neither pole, ``invalid`` votes without a
    readable answer.
    """

    judge: str = ""
    texts: int = 0
    votes: int = 0
    disagreements: int = 0
    ties: int = 0
    invalid: int = 0


def decide(votes: Sequence[Vote], requested: int) -> Outcome | None:
    """Decide the outcome after some of the ``requested`` votes; None while later votes can still change it.

    A pole needs more than half of ``requested``. If all votes named the same position though the poles were swapped
    between them, the judge shows position bias and the outcome is "neither" (Zheng et al. 2023, section 3.4).
    """
    left = requested - len(votes)
    counts = {pole: sum(vote.answer == pole for vote in votes) for pole in POLES}
    leader = max(POLES, key=lambda pole: counts[pole])
    if shows_position_bias(votes):
        return None if left else "neither"
    if counts[leader] > requested / 2:
        return leader
    return None if counts[leader] + left > requested / 2 else "neither"


def shows_position_bias(votes: Sequence[Vote]) -> bool:
    """Return whether two or more votes all named the same position, although its pole changed."""
    positions = {vote.position for vote in votes}
    return len({vote.first for vote in votes}) > 1 and len(positions) == 1 and None not in positions


def count_votes(ballots: Iterable[Sequence[Vote]]) -> VoteCounts:
    """Count the votes on all texts; a text without votes does not count."""
    cast = [votes for votes in ballots if votes]
    every = [vote for votes in cast for vote in votes]
    return VoteCounts(
        judge=", ".join(dict.fromkeys(vote.judge for vote in every)),
        texts=len(cast),
        votes=len(every),
        disagreements=sum(len({vote.answer for vote in votes}) > 1 for votes in cast),
        ties=sum(vote.answer == "neither" for vote in every),
        invalid=sum(vote.answer == "invalid" for vote in every),
    )
