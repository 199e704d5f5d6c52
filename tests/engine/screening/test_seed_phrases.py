"""What one seed alone says comes back rarely; what several say, what the subject says, and small words are free."""

import pytest
from fakes.builders import make_model

from engine.domain.model import Pole, Seed
from engine.screening.seed_phrases import SeedPhrases

SEEDS = (
    Seed("clarity", "Out of sheer arrogance you took away the export of Bergen, and I lost 340 files.", 0.0),
    Seed("clarity", "You took away the search, and this is your fault.", 0.0),
    Seed("clarity", "The search is fast, and this is your gain.", 1.0),
)
POLE: Pole = "negative"


def count_free(text: str, subject: str = "a bicycle", quota: int = 8, language: str = "en") -> int:
    """How many texts of a pole may say this."""
    phrases = SeedPhrases(make_model(seeds=SEEDS), {("clarity", POLE): quota}, language)
    for count in range(20):
        if phrases.find(f"{text} Number {count}.", "clarity", POLE, subject):
            return count
        phrases.add(f"{text} Number {count}.", "clarity", POLE, subject)
    return 20


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("Out of sheer arrogance it fell over.", 1),
        ("We met in Bergen.", 1),
        ("There were 340 of them.", 1),
        # Two seeds have it; no seed has it; a word by itself; small words alone.
        ("You took away my bell.", 20),
        ("It rained on the whole way.", 20),
        ("Such arrogance.", 20),
        ("And this is your own.", 20),
    ],
)
def test_phrase_name_or_number_of_one_seed_stands_in_an_eighth_of_a_pole(text: str, most: int) -> None:
    assert most == count_free(text)


def test_quota_the_subject_and_the_other_pole_count() -> None:
    text = "Out of sheer arrogance it fell over."
    phrases = SeedPhrases(make_model(seeds=SEEDS), {("clarity", POLE): 8}, "en")
    phrases.add(text, "clarity", POLE, "")

    assert "out of sheer arrogance" == phrases.find(text, "clarity", POLE, "")
    assert phrases.find(text, "clarity", "positive", "") is None
    assert 5 == count_free(text, quota=40)
    assert (
        20 == count_free("We met in Bergen.", "the bridge in Bergen") == count_free("We met in Bergen.", language="de")
    )
    assert phrases.find(text, "tone", POLE, "") is None
