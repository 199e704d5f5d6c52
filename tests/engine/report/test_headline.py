"""The headline is one of three, wherever a run's result stands, and counts what is to spare apart."""

import pytest

from engine.report.headline import describe_others, state_headline


@pytest.mark.parametrize(
    ("attached", "warnings", "synth_type", "headline"),
    [
        (32, 0, "from_traits", "32 attached"),
        (32, 2, "from_traits", "32 attached, with 2 warnings: look before you train"),
        (1_280, 1, "diversify", "1,280 attached, with 1 warning: look before you train"),
        (0, 3, "from_traits", "nothing attached"),
        (8, 1, "enrich", "8 set aside for evaluation, with 1 warning: look before you evaluate"),
        (0, 0, "enrich", "nothing set aside for evaluation"),
    ],
)
def test_headline_says_what_is_attached_and_that_there_are_warnings(
    attached: int, warnings: int, synth_type: str, headline: str
) -> None:
    assert headline == state_headline(attached, warnings, synth_type)


def test_proposed_set_waits_for_a_person() -> None:
    assert "8 proposed: nothing is attached until they are reviewed" == state_headline(8, 0, "enrich", proposed=True)
    assert state_headline(8, 1, "enrich", proposed=True).startswith("8 proposed, with 1 warning: nothing is attached")


def test_what_is_to_spare_is_not_rejected() -> None:
    assert "9 rejected, 87 to spare" == describe_others(9, 87)
    assert "9 rejected" == describe_others(9, 0)
