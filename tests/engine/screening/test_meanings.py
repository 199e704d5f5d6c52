"""A text that says again what a seed or another text of its pole says is rejected, in whatever words or numbers."""

from dataclasses import replace

import pytest
from fakes.builders import make_exemplar, make_model, make_rounds, make_test_plan

from engine.domain.model import Pole, Seed
from engine.domain.samples import Reason
from engine.screening.screener import reject_same_meanings
from engine.text.embedding import SentenceEncoder
from engine.text.language import Language

SEED = "The timer of the export stops after 40 minutes, and the file that it wrote is empty."
OTHER = "The barcode shows up on the till, but it is not displayed in the application."
MODEL = make_model(seeds=(Seed("clarity", SEED, 1.0),))


@pytest.mark.parametrize(
    ("texts", "pole", "reasons"),
    [
        ([SEED.replace("40", "15")], "positive", ["seed_copy"]),
        ([SEED.replace("40", "15")], "negative", [None]),
        ([OTHER, f"So {OTHER.replace('application', 'app')}"], "positive", [None, "near_duplicate"]),
        ([OTHER, "Sorting a list by price takes a minute."], "positive", [None, None]),
    ],
)
def test_same_meaning_is_rejected_at_its_own_pole(texts: list[str], pole: Pole, reasons: list[Reason | None]) -> None:
    made = [make_exemplar(text, pole, index) for index, text in enumerate(texts)]
    kept = reject_same_meanings(MODEL, made, (), SentenceEncoder())

    assert reasons == [item.reason for item in kept]
    assert all("means the same" in item.detail for item in kept if item.reason)


def test_later_round_is_held_against_the_accepted_ones_of_earlier_rounds() -> None:
    again = make_exemplar(f"So {OTHER.replace('application', 'app')}", index=1)
    cases: list[tuple[Reason | None, Reason | None]] = [(None, "near_duplicate"), ("too_long", None)]
    for reason, expected in cases:
        earlier = replace(make_exemplar(OTHER), reason=reason)
        [kept] = reject_same_meanings(MODEL, [again], [earlier], SentenceEncoder())
        assert expected == kept.reason


def test_encoder_has_no_say_in_a_language_that_it_does_not_know() -> None:
    rounds = make_rounds(replace(make_test_plan(MODEL), language=Language("hi")))

    assert [None] == [item.reason for item in rounds.screen_meanings([make_exemplar(SEED)])]
