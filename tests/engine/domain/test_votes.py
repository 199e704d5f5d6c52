"""Votes come to the pole that most of those wanted name, to neither where no pole has so many, and are counted."""

import pytest

from engine.domain.definition import Pole
from engine.domain.model import POLES
from engine.domain.votes import Outcome, Vote, VoteAnswer, VoteCounts, count_votes, decide

SAID: dict[str, VoteAnswer] = {"p": "positive", "n": "negative", "0": "neither", "x": "invalid"}


def cast(said: str, swapped: bool = True) -> list[Vote]:
    """Votes by their letters: the positive pole stands first in the first one, and in every other one after it."""
    firsts: list[Pole] = [POLES[number % 2 if swapped else 0] for number in range(len(said))]
    return [Vote("openai/judge", SAID[letter], first) for letter, first in zip(said, firsts, strict=True)]


@pytest.mark.parametrize(
    ("outcome", "ballots"),
    [
        ("positive", "p/1 pp/3 p0p/3 ppp/5"),
        ("negative", "xnn/3 npnn/5"),
        ("neither", "x/1 p0/2 0/2 00/3 0n0/3 ppnn/4 pn0x/5"),
        (None, "/1 /3 p/3 0/3 np/3 p0/3 ppn/5"),
    ],
)
def test_pole_needs_more_than_half_of_the_votes_wanted_and_no_vote_that_cannot_change_it(
    outcome: Outcome | None, ballots: str
) -> None:
    cases = [ballot.split("/") for ballot in ballots.split(" ")]

    assert dict.fromkeys(ballots.split(" "), outcome) == {
        f"{said}/{wanted}": decide(cast(said), int(wanted)) for said, wanted in cases
    }


@pytest.mark.parametrize("said", ["pnp", "npn"])
def test_votes_that_all_name_one_place_are_for_neither_pole(said: str) -> None:
    votes = cast(said)

    assert 1 == len({vote.position for vote in votes})
    assert "neither" == decide(votes, 3)
    assert {"pnp": "positive", "npn": "negative"}[said] == decide(cast(said, swapped=False), 3)


def test_votes_are_counted_and_each_says_the_judge_the_pole_and_the_order() -> None:
    ballots = [cast("pp"), cast("pnp"), cast("npp"), cast("0"), cast("x0"), cast("p"), []]

    assert VoteCounts("openai/judge", texts=6, votes=12, disagreements=3, ties=2, invalid=1) == (count_votes(ballots))
    assert VoteCounts() == count_votes([[], []])
    assert {"judge": "openai/judge", "vote": "negative", "order": "positive first"} == cast("n")[0].to_entry()
