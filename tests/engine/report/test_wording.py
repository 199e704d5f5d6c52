"""What is said of a run: its headline, and of one that attaches nothing what failed and what to do."""

from dataclasses import replace

import pytest
from fakes.builders import add_and_choose, make_exemplar, make_level, make_pair, make_state, make_test_plan

from engine.choosing.run_state import REPLY_REASONS
from engine.domain.finding import Finding
from engine.domain.model import POLES
from engine.domain.samples import Exemplar, Reason
from engine.domain.verdict import Verdict
from engine.domain.votes import Vote
from engine.report.wording import explain_failure, state_headline
from engine.rules.rules import RULES_BY_CODE
from engine.text.formatting import name_reason

WARNING = Finding("expect_a", "warning", "A sentence")


@pytest.mark.parametrize(
    ("attached", "warnings", "synth_type", "proposed", "headline"),
    [
        (32, 0, "from_traits", False, "32 attached"),
        (32, 2, "from_traits", False, "32 attached, with 2 warnings: look before you train"),
        (0, 3, "from_traits", False, "nothing attached"),
        (8, 1, "enrich", False, "8 set aside for evaluation, with 1 warning: look before you evaluate"),
        (0, 0, "enrich", False, "nothing set aside for evaluation"),
        (8, 1, "enrich", True, "8 proposed, with 1 warning: nothing is attached until they are reviewed"),
    ],
)
def test_headline_says_what_is_attached_and_that_there_are_warnings(
    attached: int, warnings: int, synth_type: str, proposed: bool, headline: str
) -> None:
    assert headline == state_headline(attached, [WARNING] * warnings, synth_type, proposed)


def test_inseparable_poles_are_in_the_headline() -> None:
    headline = "no measure separates Plain from Official"
    inseparable = Finding("inseparable", "warning", f"{headline} (AUC 0.51)", headline=headline, trait="tone")

    assert "40 attached, with 2 warnings: no measure separates Plain from Official" == state_headline(
        40, [WARNING, inseparable], "from_traits"
    )


FAILED = Verdict(
    (Finding("expect_a", "critical", "Expected that every row has a text: 2 of 8 rows unexpected"),), (), {}
)


def explain(*exemplars: Exemplar, wanted: int = 1) -> str:
    state = make_state(make_test_plan(level=make_level(wanted)), planned=True)
    return explain_failure(add_and_choose(state, exemplars), FAILED)


def test_lack_is_explained_by_the_commonest_reason_and_its_remedy() -> None:
    rejected = [make_exemplar("A text.", pole, index, reason="off_pole") for index in range(2) for pole in POLES]
    said = explain(*rejected, make_exemplar("Another.", "positive", 2, reason="too_long"))

    assert "2 of 2 exemplars are lacking after 1 round; 5 rejected there, 4 of them as off pole: " in said
    assert said.endswith(f"{RULES_BY_CODE['off_pole'].remedy}.")


def test_votes_that_cannot_be_read_are_no_fault_of_the_trait() -> None:
    votes = (Vote("openai/judge", "invalid", "positive"),)
    said = explain(*(replace(exemplar, reason="off_pole", votes=votes) for exemplar in make_pair()))

    assert "2 of them as off pole: most of the judge's votes on them cannot be read, so take another judge" in said


def test_reasons_are_counted_where_something_is_lacking_only_and_what_is_to_spare_apart() -> None:
    spare = [make_exemplar(f"A text {index}.", "positive", index) for index in range(3)]
    rejected = [make_exemplar("A text.", "positive", index, reason="too_long") for index in range(3, 7)]
    refused = [make_exemplar("A text.", "negative", index, reason="refused") for index in range(2)]

    assert "; 2 rejected there, 2 of them as refused: " in explain(*spare, *rejected, *refused, wanted=2)
    assert "5 of 8 exemplars are lacking" in explain(*spare, wanted=4)
    assert "8 of 8 exemplars are lacking after 1 round, since nothing came back; " in explain(wanted=4)


@pytest.mark.parametrize("reason", sorted(REPLY_REASONS))
def test_first_round_of_which_nothing_can_be_used_quotes_two_replies(reason: Reason) -> None:
    replies = [f"Sure!\n Text {number // 2} of them" for number in range(6)]
    made = [make_exemplar(text, "positive", index, reason=reason) for index, text in enumerate(replies)]
    said = explain(*made, *(make_exemplar("", "negative", index, reason="truncated") for index in range(2)))
    counts = "8 truncated" if reason == "truncated" else f"6 {name_reason(reason)}, 2 truncated"

    assert said.startswith(f"none of the 8 replies of the first round can be used ({counts}), such as “Sure! Text 0 ")
    assert f" and “Sure! Text 1 of them”; no more were requested, since {RULES_BY_CODE[reason].remedy}." in said
    assert "'exemplars prune --replies u22a8.test'" in said
