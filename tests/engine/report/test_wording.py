"""The headline is one of three, wherever a run's result stands, and counts what is to spare apart."""

import pytest

from engine.report.wording import state_headline


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
    assert headline == state_headline(attached, ["A sentence."] * warnings, synth_type, proposed)


def test_poles_that_nothing_tells_apart_stand_in_the_headline() -> None:
    said = "tone: nothing tells Plain from Official in the 99 texts that came (AUC 0.51): a scorer learns nothing."

    assert (
        "40 attached, with 2 warnings: nothing tells Plain from Official in the 99 texts that came"
        == state_headline(40, ["A sentence.", said], "from_traits")
    )
