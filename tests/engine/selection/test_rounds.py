"""What a round chooses is the same wherever it is chosen."""

import pickle

import pytest
from fakes.builders import (
    NEGATIVE_SEEDS,
    POSITIVE_SEEDS,
    make_exemplar,
    make_level,
    make_model,
    make_seeds,
    make_test_plan,
)
from fakes.word_vectors import WordVectors

from engine.domain.model import Attached
from engine.domain.samples import Exemplar, Reason
from engine.generation.first_replies import MIN_HOPELESS
from engine.screening.screener import Screener
from engine.selection.rounds import REPLY_REASONS, Rounds

OTHER = [Attached("clarity", f"text {number}", 1.0, "a shed") for number in range(3)]
VARIATION = Attached("clarity", "a varied text", 1.0, "a shed", seed_sha256=make_seeds()[0].sha256)


def make_rounds() -> Rounds:
    model = make_model(seeds=make_seeds(), attached=(*OTHER, VARIATION), held_out=tuple(OTHER))
    plan = make_test_plan(model, make_level(2))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)
    rounds.next_cells()
    return rounds


def make_exemplars() -> list[Exemplar]:
    positive = [make_exemplar(f"{text} Indeed.", "positive", index) for index, text in enumerate(POSITIVE_SEEDS)]
    negative = [make_exemplar(f"{text} Indeed.", "negative", index) for index, text in enumerate(NEGATIVE_SEEDS)]
    return [*positive, *negative]


def test_choice_that_another_process_makes_is_the_one_that_is_made_here() -> None:
    here, elsewhere = make_rounds(), make_rounds()
    here.take(make_exemplars())
    elsewhere.settle(pickle.loads(pickle.dumps(elsewhere.add(make_exemplars())))())

    assert 4 == len(here.choice.chosen)
    assert (here.choice, here.review) == (elsewhere.choice, elsewhere.review)
    assert here.next_cells() == elsewhere.next_cells()


def test_samples_that_say_nothing_of_a_choice_are_not_sent_along() -> None:
    rounds = make_rounds()
    sent = pickle.dumps(rounds.add(make_exemplars()))

    assert [False, True] == [text.encode() in sent for text in (OTHER[0].text, str(VARIATION.seed_sha256))]
    assert (4, 3) == (len(rounds.plan.model.attached), len(rounds.plan.model.held_out))


@pytest.mark.parametrize("reason", sorted(REPLY_REASONS))
def test_no_round_follows_a_first_one_of_which_no_reply_can_be_used(reason: Reason) -> None:
    rounds = make_rounds()
    rounds.take([make_exemplar("A text.", "positive", index, reason=reason) for index in range(MIN_HOPELESS)])

    assert (True, ()) == (rounds.is_hopeless, rounds.next_cells())


@pytest.mark.parametrize(
    ("first", "others"),
    [("unreadable", []), ("unreadable", ["cell_failed"]), ("unreadable", ["duplicate"]), ("too_short", ["too_short"])],
)
def test_another_round_follows_where_that_may_help(first: Reason, others: list[Reason]) -> None:
    reasons: list[Reason] = [first] * (MIN_HOPELESS - 1) + others
    rounds = make_rounds()
    rounds.take([make_exemplar("A text.", "positive", index, reason=reason) for index, reason in enumerate(reasons)])

    assert not rounds.is_hopeless
    assert rounds.next_cells()


def test_reply_that_repeats_another_is_no_reason_to_go_on() -> None:
    repeated: list[Reason] = ["duplicate", "near_duplicate", "cell_failed"]
    reasons: list[Reason] = ["wrong_language"] * MIN_HOPELESS
    rounds = make_rounds()
    rounds.take(
        [make_exemplar("A text.", "positive", index, reason=reason) for index, reason in enumerate(reasons + repeated)]
    )

    assert rounds.is_hopeless


def test_later_rounds_go_on_though_none_of_their_replies_can_be_used() -> None:
    rounds = make_rounds()
    rounds.take([make_exemplar("A text.", "positive", reason="duplicate")])
    rounds.next_cells()
    rounds.take([make_exemplar("A text.", "positive", index, reason="truncated") for index in range(2 * MIN_HOPELESS)])

    assert rounds.next_cells()
