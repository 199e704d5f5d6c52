"""What one seed alone says comes back rarely; what several say, what the subject says, and small words are free."""

from dataclasses import replace

import pytest
from fakes.builders import make_exemplar, make_model

from engine.domain.definition import Pole
from engine.domain.model import Seed
from engine.domain.samples import Exemplar
from engine.screening.recurring import SeedPhrases

SEEDS = (
    Seed("clarity", "Out of sheer arrogance you took away the export of Bergen, and I lost 340 files.", 0.0),
    Seed("clarity", "You took away the search, and this is your fault.", 0.0),
    Seed("clarity", "The search is fast, and this is your gain.", 1.0),
)
POLE: Pole = "negative"


def make_phrases(quota: int = 8, language: str = "en") -> SeedPhrases:
    return SeedPhrases(make_model(seeds=SEEDS), {("clarity", POLE): quota}, language)


def write(text: str, subject: str = "a bicycle", pole: Pole = POLE) -> Exemplar:
    made = make_exemplar(text, pole)
    return replace(made, scenario=replace(made.scenario, subject=subject))


def count_free(phrases: SeedPhrases, text: str, subject: str = "a bicycle") -> int:
    """How many texts of a pole may say this."""
    for count in range(20):
        exemplar = write(f"{text} Number {count}.", subject)
        if phrases.find(exemplar):
            return count
        phrases.add(exemplar)
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
    assert most == count_free(make_phrases(), text)


def test_quota_the_subject_and_the_other_pole_count() -> None:
    text, phrases = "Out of sheer arrogance it fell over.", make_phrases()
    phrases.add(write(text))

    assert "out of sheer arrogance" == phrases.find(write(text))
    assert phrases.find(write(text, pole="positive")) is None
    assert 5 == count_free(make_phrases(quota=40), text)
    assert 20 == count_free(make_phrases(), "We met in Bergen.", "the bridge in Bergen")
    assert 20 == count_free(make_phrases(language="de"), "We met in Bergen.")
