"""Votes: what the judge said of one text, what the votes come to, and how often they differ."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.domain.model import Pole

VoteAnswer = Literal["positive", "negative", "neither", "invalid"]
Outcome = Literal["positive", "negative", "neither"]


@dataclass(frozen=True, slots=True)
class Vote:
    """One vote of one judge. ``first`` is the pole that stood first; ``said`` is "invalid" where no reply was one."""

    judge: str
    said: VoteAnswer
    first: Pole

    @property
    def place(self) -> int | None:
        """The place that was voted for, 0 or 1; None where neither was."""
        return None if self.said in ("neither", "invalid") else int(self.said != self.first)

    def to_entry(self) -> dict[str, str]:
        """The vote as the ``judge_votes`` column has it."""
        return {"judge": self.judge, "vote": self.said, "order": f"{self.first} first"}


@dataclass(frozen=True, slots=True)
class VoteCounts:
    """The votes of a run. ``disagreements`` are texts whose votes differ, ``ties`` votes for neither pole,
    ``invalid`` votes without a readable answer, ``position_flips`` votes that named the place that the vote before
    had named, though the poles had been swapped."""

    judge: str = ""
    texts: int = 0
    votes: int = 0
    disagreements: int = 0
    ties: int = 0
    invalid: int = 0
    position_flips: int = 0


def decide(votes: Sequence[Vote], wanted: int) -> Outcome | None:
    """What the votes come to, out of so many that are wanted; None while the votes to come can still change it.

    A pole needs more than half of the votes that are wanted. Where all of them named one place, though the poles were
    swapped between them, the place was voted for and no pole (Zheng et al. 2023, section 3.4).
    """
    left = wanted - len(votes)
    counts: dict[Outcome, int] = {
        "positive": sum(vote.said == "positive" for vote in votes),
        "negative": sum(vote.said == "negative" for vote in votes),
    }
    leader = max(counts, key=lambda pole: counts[pole])
    if shows_position_bias(votes):
        return None if left else "neither"
    if counts[leader] > wanted / 2:
        return leader
    return None if counts[leader] + left > wanted / 2 else "neither"


def shows_position_bias(votes: Sequence[Vote]) -> bool:
    """Whether two votes or more all named one place, whichever pole stood there."""
    places = {vote.place for vote in votes}
    return len({vote.first for vote in votes}) > 1 and len(places) == 1 and None not in places


def count_votes(ballots: Iterable[Sequence[Vote]]) -> VoteCounts:
    """The counts over all texts; a text that nobody voted on does not count."""
    cast = [votes for votes in ballots if votes]
    every = [vote for votes in cast for vote in votes]
    return VoteCounts(
        judge=", ".join(dict.fromkeys(vote.judge for vote in every)),
        texts=len(cast),
        votes=len(every),
        disagreements=sum(len({vote.said for vote in votes}) > 1 for votes in cast),
        ties=sum(vote.said == "neither" for vote in every),
        invalid=sum(vote.said == "invalid" for vote in every),
        position_flips=sum(_count_flips(votes) for votes in cast),
    )


def _count_flips(votes: Sequence[Vote]) -> int:
    pairs = itertools.pairwise(votes)
    return sum(one.first != other.first and one.place is not None and one.place == other.place for one, other in pairs)
