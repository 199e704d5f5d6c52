"""The author's rules and questions in the screen: what rejects nearly everything is found."""

from dataclasses import replace

import pytest
from fakes.builders import make_exemplar

from engine.domain.samples import Exemplar
from engine.screening.own_rules import HopelessRule, OwnTally


def reject(count: int, rule: str) -> list[Exemplar]:
    return [replace(make_exemplar(f"{rule} {number}"), reason="own_rule", detail=rule) for number in range(count)]


@pytest.mark.parametrize(("rejected", "accepted", "hopeless"), [(18, 2, True), (17, 3, False), (17, 2, False)])
def test_rule_is_hopeless_that_rejects_nine_of_ten_of_twenty_and_more_that_came_to_it(
    rejected: int, accepted: int, hopeless: bool
) -> None:
    others = [replace(make_exemplar("short"), reason="too_short")] * 30
    tally = OwnTally()
    for part in ([*reject(rejected, "a"), *others], [make_exemplar("fine")] * accepted):
        tally = tally.add("own_rule", part)
        # What comes to the questions is counted for them.
        tally = tally.add("own_question", part)

    expected = HopelessRule("own_rule", "a", 18, 20, ("a 0", "a 1", "a 2"))
    assert (expected if hopeless else None) == tally.find_hopeless()


def test_two_rules_that_share_what_is_rejected_are_not_hopeless() -> None:
    tally = OwnTally()
    tally = tally.add("own_rule", [*reject(15, "a"), *reject(15, "b")])

    assert tally.find_hopeless() is None
