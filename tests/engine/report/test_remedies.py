"""What a run that attaches nothing is told: one sentence with what failed and what to do."""

from typing import get_args

import pytest
from fakes.builders import make_exemplar, make_level, make_test_plan
from fakes.word_vectors import WordVectors

from engine.domain.model import POLES
from engine.domain.samples import Exemplar, Reason
from engine.quality.verdict import Verdict
from engine.report.remedies import REMEDIES, explain_failure
from engine.screening.screener import Screener
from engine.selection.rounds import Rounds
from engine.text.formatting import name_reason

FAILED = Verdict(False, ("Expected that every row has a text: 2 of 8 rows unexpected.",), (), (), {}, ())


def make_rounds(*exemplars: Exemplar, wanted: int = 1) -> Rounds:
    plan = make_test_plan(level=make_level(wanted))
    rounds = Rounds(plan, Screener(plan, use_lengths=False), 1, WordVectors(), strict=False)
    rounds.next_cells()
    rounds.take(exemplars)
    return rounds


def test_every_reason_has_its_remedy() -> None:
    assert set(get_args(Reason)) == set(REMEDIES)


@pytest.mark.parametrize("reason", ["duplicate", "refused", "cell_failed", "off_pole"])
def test_lack_is_explained_by_the_commonest_reason_and_its_remedy(reason: Reason) -> None:
    rejected = [make_exemplar("A text.", pole, index, reason=reason) for index in range(2) for pole in POLES]
    rounds = make_rounds(*rejected, make_exemplar("Another.", "positive", 2, reason="too_long"))

    assert (
        f"2 of 2 exemplars are lacking after 1 round; 5 rejected there, 4 of them as "
        f"{name_reason(reason)}: {REMEDIES[reason]}."
    ) == explain_failure(rounds, FAILED)


def test_reasons_are_counted_where_something_is_lacking_only() -> None:
    rejected = [make_exemplar("A text.", "positive", index, reason="too_long") for index in range(1, 4)]
    rounds = make_rounds(
        make_exemplar("Good.", "positive"), *rejected, make_exemplar("A text.", "negative", 4, reason="refused")
    )

    assert explain_failure(rounds, FAILED).startswith(
        "1 of 2 exemplars is lacking after 1 round; 1 rejected there, 1 of them as refused: "
    )


def test_what_is_to_spare_is_not_called_rejected() -> None:
    spare = [make_exemplar(f"A text {index}.", "positive", index) for index in range(3)]
    rejected = [make_exemplar("A text.", "negative", index, reason="refused") for index in range(2)]
    rounds = make_rounds(*spare, *rejected, wanted=2)

    assert "; 2 rejected there, 2 of them as refused: " in explain_failure(rounds, FAILED)
    assert 1 == rounds.choice.count_spare()


def test_nothing_that_came_back_is_said() -> None:
    assert "2 of 2 exemplars are lacking after 1 round, since nothing came back; " in explain_failure(
        make_rounds(), FAILED
    )


def test_finding_of_the_gate_is_told_where_nothing_is_lacking() -> None:
    rounds = make_rounds(*(make_exemplar(f"A text that is {pole}.", pole) for pole in POLES))

    assert (
        "Expected that every row has a text: 2 of 8 rows unexpected; see the gate's results in the report, and fix "
        "the samples or the suite that they name."
    ) == explain_failure(rounds, FAILED)
