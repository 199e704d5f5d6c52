"""What a run that attaches nothing is told: one sentence with what failed and what to do."""

from dataclasses import replace
from typing import get_args

import pytest
from fakes.builders import make_exemplar, make_level, make_test_plan
from fakes.word_vectors import WordVectors

from engine.domain.model import POLES
from engine.domain.samples import Exemplar, Reason
from engine.domain.votes import Vote
from engine.quality.verdict import Verdict
from engine.report.remedies import HOPELESS_REMEDIES, REMEDIES, explain_failure
from engine.screening.screener import Screener
from engine.selection.rounds import REPLY_REASONS, Rounds
from engine.text.formatting import QUOTED_CHARS, name_reason

FAILED = Verdict(False, ("Expected that every row has a text: 2 of 8 rows unexpected.",), (), (), {}, ())


def make_rounds(*exemplars: Exemplar, wanted: int = 1) -> Rounds:
    plan = make_test_plan(level=make_level(wanted))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)
    rounds.next_cells()
    rounds.take(exemplars)
    return rounds


def test_every_reason_has_its_remedy() -> None:
    assert set(get_args(Reason)) == set(REMEDIES)


def test_lack_is_explained_by_the_commonest_reason_and_its_remedy() -> None:
    rejected = [make_exemplar("A text.", pole, index, reason="off_pole") for index in range(2) for pole in POLES]
    rounds = make_rounds(*rejected, make_exemplar("Another.", "positive", 2, reason="too_long"))

    assert (
        f"2 of 2 exemplars are lacking after 1 round; 5 rejected there, 4 of them as off pole: {REMEDIES['off_pole']}."
    ) == explain_failure(rounds, FAILED)


def test_votes_that_cannot_be_read_are_no_fault_of_the_trait() -> None:
    votes = (Vote("openai/judge", "invalid", "positive"),)
    unread = [replace(make_exemplar("A text.", pole, reason="off_pole"), votes=votes) for pole in POLES]

    said = explain_failure(make_rounds(*unread), FAILED)
    assert "2 of them as off pole: most of the judge's votes on them cannot be read, so take another judge" in said
    assert "description" not in said


def test_reasons_are_counted_where_something_is_lacking_only_and_what_is_to_spare_apart() -> None:
    spare = [make_exemplar(f"A text {index}.", "positive", index) for index in range(3)]
    rejected = [make_exemplar("A text.", "positive", index, reason="too_long") for index in range(3, 7)]
    refused = [make_exemplar("A text.", "negative", index, reason="refused") for index in range(2)]
    rounds = make_rounds(*spare, *rejected, *refused, wanted=2)
    unpaired = make_rounds(*spare, wanted=4)

    assert "; 2 rejected there, 2 of them as refused: " in explain_failure(rounds, FAILED)
    assert 1 == rounds.choice.count_spare()
    assert "8 exemplars are lacking after 1 round" in explain_failure(make_rounds(wanted=4), FAILED)
    assert "5 of 8 exemplars are lacking" in explain_failure(unpaired, FAILED)


def test_one_that_is_lacking_and_nothing_that_came_back_are_said() -> None:
    one = make_rounds(make_exemplar("Good.", "positive"), make_exemplar("A text.", "negative", 4, reason="refused"))

    assert explain_failure(one, FAILED).startswith("1 of 2 exemplars is lacking after 1 round; 1 rejected there, 1 of ")
    assert "2 of 2 exemplars are lacking after 1 round, since nothing came back; " in explain_failure(
        make_rounds(), FAILED
    )


def test_finding_of_the_gate_is_told_where_nothing_is_lacking() -> None:
    rounds = make_rounds(*(make_exemplar(f"A text that is {pole}.", pole) for pole in POLES))

    assert (
        "Expected that every row has a text: 2 of 8 rows unexpected; see the gate's results in the report, and fix "
        "the samples or the suite that they name."
    ) == explain_failure(rounds, FAILED)


@pytest.mark.parametrize("reason", sorted(REPLY_REASONS))
def test_first_round_of_which_nothing_can_be_used_quotes_two_replies(reason: Reason) -> None:
    replies = [f"Sure!\n Text {number // 2} of them" for number in range(6)]
    made = [make_exemplar(text, "positive", index, reason=reason) for index, text in enumerate(replies)]
    rounds = make_rounds(*made, *(make_exemplar("", "negative", index, reason="truncated") for index in range(2)))
    said = explain_failure(rounds, FAILED)
    counts = "8 truncated" if reason == "truncated" else f"6 {name_reason(reason)}, 2 truncated"

    assert rounds.is_hopeless
    assert said.startswith(f"none of the 8 replies of the first round can be used ({counts}), such as “Sure! Text 0 ")
    assert f" and “Sure! Text 1 of them”; no more was asked, since {HOPELESS_REMEDIES[reason]}." in said
    assert f"'exemplars cache clear {rounds.plan.model.handle}'" in said


def test_replies_are_quoted_shortened_and_by_their_detail_where_they_have_no_text() -> None:
    refused = [
        replace(make_exemplar(None, "positive", index, reason="refused"), detail="x" * 200) for index in range(8)
    ]
    empty = [replace(make_exemplar("", "positive", index, reason="unreadable"), detail="no JSON") for index in range(8)]

    assert f"such as “{'x' * (QUOTED_CHARS - 1)}…”; no more" in explain_failure(make_rounds(*refused), FAILED)
    assert "such as an empty one; no more" in explain_failure(make_rounds(*empty), FAILED)
