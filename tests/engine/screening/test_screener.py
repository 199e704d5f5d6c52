"""Screening keeps or rejects every exemplar with a reason, and of two alike the first in cell order stays."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from fakes.builders import (
    POSITIVE_SEEDS,
    SCENARIO_POOL,
    make_exemplar,
    make_model,
    make_seeds,
    make_state,
    make_test_plan,
    make_trait,
)
from fakes.word_vectors import WordVectors

from engine.domain.definition import Length, Pole
from engine.domain.model import Attached, Model, Seed
from engine.domain.samples import Exemplar, Reason
from engine.run.rounds import screen_meanings
from engine.screening.screener import Screener, reject_same_meanings
from engine.text.embedding import SentenceEncoder
from engine.text.language import Language

TEXTS = (
    "The spare battery of the scanner lies in the second drawer, beside the charger.",
    "Ask the night porter for the key whenever the side door has been locked early.",
    "Our shop in Leeds closes at noon on Fridays, since nobody comes later than that.",
    "Two of the lamps in the hall were replaced last spring and still work well.",
)
NEAR = TEXTS[0].replace("charger", "chargers")
SEEDED = make_model(seeds=make_seeds())


def make_screener(model: Model | None = None, use_lengths: bool = False) -> Screener:
    return Screener(make_test_plan(model), use_lengths)


def make_exemplars(*texts: str) -> list[Exemplar]:
    return [make_exemplar(text, index=index) for index, text in enumerate(texts)]


def screen(*texts: str, model: Model | None = None) -> list[Exemplar]:
    return make_screener(model).screen(make_exemplars(*texts))


def list_reasons(exemplars: Iterable[Exemplar]) -> list[Reason | None]:
    return [exemplar.reason for exemplar in exemplars]


def test_texts_that_break_no_rule_stand_as_they_came_and_others_get_reason_and_detail() -> None:
    given = make_exemplars(*TEXTS, "Dear [Your Name], the battery lies in the second drawer.")
    echo = "In subject, facts, length and tone it could as well stand at the other end of it."
    *kept, rejected = make_screener().screen(given)

    assert given[:-1] == kept
    # The prompts' own instructions are known.
    assert ["prompt_echo"] == list_reasons(screen(echo))
    assert replace(given[-1], reason="placeholder", detail="[Your Name]") == rejected


def test_text_that_is_the_same_or_nearly_is_a_duplicate() -> None:
    _, same, near = screen(TEXTS[0], TEXTS[0].upper().replace(",", " –"), NEAR)

    assert ("duplicate", f"1.00 like: {TEXTS[0]}") == (same.reason, same.detail)
    assert ("near_duplicate", f"0.99 like: {TEXTS[0]}") == (near.reason, near.detail)


def test_duplicates_are_found_across_poles_traits_and_rounds() -> None:
    screener = make_screener(make_model(make_trait(), make_trait("tone", positive_label="Warm", negative_label="Cold")))
    first = [make_exemplar(TEXTS[0]), make_exemplar(TEXTS[0], "negative", index=1)]
    second = [make_exemplar(NEAR, trait="tone", index=2), make_exemplar(TEXTS[0], index=3)]

    assert [None, "duplicate"] == list_reasons(screener.screen(first))
    assert ["near_duplicate", "duplicate"] == list_reasons(screener.screen(second))


def test_attached_sample_of_any_trait_and_what_was_refused_are_not_made_again() -> None:
    model = make_model(attached=(Attached("another", TEXTS[0], 1.0, "a subject"),), refused=(TEXTS[2],))
    made = screen(TEXTS[0], NEAR, TEXTS[1], TEXTS[2], model=model)

    assert ["duplicate", "near_duplicate", None, "refused_before"] == list_reasons(made)


@pytest.mark.parametrize("text", [POSITIVE_SEEDS[2].lower(), POSITIVE_SEEDS[2].replace("seven", "eleven")])
def test_copy_of_an_authored_sample_is_rejected(text: str) -> None:
    copies = screen(text, text, model=SEEDED)

    assert ["seed_copy", "seed_copy"] == list_reasons(copies)
    assert copies[0].detail.endswith(f" like: {POSITIVE_SEEDS[2]}")


def test_eight_words_in_a_row_of_an_authored_sample_are_a_copy() -> None:
    eight = "Nobody in the office knew that the cache for ten minutes, and then THE server was all that stood."
    seven = "Nobody in the office knew that the cache for ten minutes, and then a server was all that stood."
    [copied] = screen(eight, model=SEEDED)

    assert ("seed_copy", f"8 words in a row of: {POSITIVE_SEEDS[0]}") == (copied.reason, copied.detail)
    assert [None] == list_reasons(screen(seven, model=SEEDED))


def test_authored_sample_between_the_poles_or_contested_is_not_to_be_copied_either() -> None:
    positive, negative, between = (Seed("clarity", TEXTS[0], quality, "s.jsonl:1") for quality in (1.0, 0.0, 0.5))

    for model in (make_model(seeds=(between,)), make_model(conflicting_labels=(positive, negative))):
        assert ["seed_copy", None] == list_reasons(screen(NEAR, TEXTS[1], model=model))


def test_first_in_cell_order_stays_whatever_came_first() -> None:
    given = make_exemplars(TEXTS[0], NEAR, TEXTS[1], TEXTS[0])
    numbered = [replace(make_exemplar(text), number=number) for number, text in enumerate((TEXTS[0], NEAR))]
    expected = make_screener().screen(given)

    assert [None, "near_duplicate", None, "duplicate"] == list_reasons(expected)
    for arrived in (given[::-1], [given[number] for number in (2, 0, 3, 1)]):
        assert expected == make_screener().screen(arrived)
    for arrived in (numbered, numbered[::-1]):
        assert [None, "near_duplicate"] == list_reasons(make_screener().screen(arrived))


@pytest.mark.parametrize("reason", ["cell_failed", "truncated"])
def test_reason_that_was_set_before_stays(reason: Reason) -> None:
    text = None if reason == "cell_failed" else TEXTS[0]
    given = replace(make_exemplar(text, reason=reason), detail="said before")
    screener = make_screener()

    assert [given] == screener.screen([given])
    assert [None] == list_reasons(screener.screen([make_exemplar(TEXTS[0], index=1)]))


@pytest.mark.parametrize("use_lengths", [True, False])
@pytest.mark.parametrize(("shortest", "reason"), [(3, None), (12, "too_short")])
def test_titles_may_be_short(use_lengths: bool, shortest: int, reason: Reason | None) -> None:
    plan = make_test_plan(scenario_pool=replace(SCENARIO_POOL, lengths=(Length("one sentence", shortest, 14),)))
    given = make_exemplars("Retry uploads twice.", "Fix it.", f"{TEXTS[1]} {TEXTS[2]}")

    assert [reason, "too_short", "too_long"] == list_reasons(Screener(plan, use_lengths).screen(given))


def test_unmarked_end_is_truncated_only_where_nearly_all_seeds_of_the_trait_end_marked() -> None:
    marked = tuple(Seed("clarity", f"Seed number {number} of ten.", 1.0, str(number)) for number in range(10))
    nine, eight = (
        tuple(replace(seed, text=seed.text.removesuffix(".")) for seed in marked[:count]) + marked[count:]
        for count in (1, 2)
    )
    other = tuple(replace(seed, trait="another") for seed in marked)
    models = [make_model(seeds=seeds) for seeds in (marked, nine, eight, other)]

    assert [["truncated"], ["truncated"], [None], [None]] == [
        list_reasons(screen(TEXTS[0].removesuffix("."), model=model)) for model in models
    ]


def test_language_is_that_of_the_seeds() -> None:
    seed = "Der Schlüssel wird einmal im Monat gewechselt und danach sicher abgelegt."
    text = "Am Freitag schließt der Laden schon um zwölf, weil danach niemand mehr kommt."
    german = make_model(seeds=(Seed("clarity", seed, 1.0),))

    assert [None, "wrong_language"] == list_reasons(screen(text, TEXTS[2], model=german))
    assert ["wrong_language", None] == list_reasons(screen(text, TEXTS[2]))


ABOUT = "order drawer porter lamp shop scanner winter hall engine lorry".split()


def open_with(opening: str, times: int, pole: Pole = "positive") -> list[Exemplar]:
    """Ten texts of a pole, so many of which begin alike; no two are about the same."""
    return [
        make_exemplar(f"{opening if index < times else ''}The {word} of a {ABOUT[index - 3]} is here.", pole, index)
        for index, word in enumerate(ABOUT)
    ]


@pytest.mark.parametrize(
    ("opening", "times"),
    [
        ("Claro! Segue a mensagem: ", 3),
        ("好的，以下是消息：", 3),
        ("Segue a mensagem: ", 5),
        ("Mensagem pedida\n\n", 5),
    ],
)
def test_opening_of_many_texts_of_a_pole_is_the_models(opening: str, times: int) -> None:
    fewer = make_screener().screen(open_with(opening, times - 1) + open_with("", 0, "negative"))
    both = make_screener().screen(open_with(opening, times) + open_with(opening, times - 1, "negative"))
    own = make_model(seeds=(Seed("clarity", f"{opening}The bell rings at noon.", 0.0, "s.jsonl:1"),))

    assert "meta_talk" not in list_reasons(fewer)
    assert times == sum(not item.is_accepted for item in both if item.pole == "positive")
    assert "meta_talk" not in list_reasons(item for item in both if item.pole == "negative")
    assert "meta_talk" not in list_reasons(make_screener(own).screen(open_with(opening, times)))


def test_openings_are_counted_over_the_rounds() -> None:
    screener, made = make_screener(), open_with("Segue a mensagem: ", 10)
    reasons = [list_reasons(screener.screen(part)) for part in (made[:4], made[4:])]

    assert [[None] * 4, ["meta_talk"] * 6] == reasons


@pytest.mark.parametrize("opening", ["Dear customer,\n", "Note: ", "At 10:30 ", "See https://a.b/c: ", ""])
def test_greeting_or_first_word_that_many_texts_share_stands(opening: str) -> None:
    assert "meta_talk" not in list_reasons(make_screener().screen(open_with(opening, 10)))


TIMER = "The timer of the export stops after 40 minutes, and the file that it wrote is empty."
BARCODE = "The barcode shows up on the till, but it is not displayed in the application."
TIMED = make_model(seeds=(Seed("clarity", TIMER, 1.0),))


@pytest.mark.parametrize(
    ("texts", "pole", "reasons"),
    [
        ([TIMER.replace("40", "15")], "positive", ["seed_copy"]),
        ([TIMER.replace("40", "15")], "negative", [None]),
        ([BARCODE, f"So {BARCODE.replace('application', 'app')}"], "positive", [None, "near_duplicate"]),
        ([BARCODE, "Sorting a list by price takes a minute."], "positive", [None, None]),
    ],
)
def test_same_meaning_is_rejected_at_its_own_pole(texts: list[str], pole: Pole, reasons: list[Reason | None]) -> None:
    made = [make_exemplar(text, pole, index) for index, text in enumerate(texts)]
    kept = reject_same_meanings(TIMED, made, (), SentenceEncoder())

    assert reasons == [item.reason for item in kept]
    assert all("means the same" in item.detail for item in kept if item.reason)


def test_later_round_is_held_against_the_accepted_ones_of_earlier_rounds() -> None:
    again = make_exemplar(f"So {BARCODE.replace('application', 'app')}", index=1)
    cases: list[tuple[Reason | None, Reason | None]] = [(None, "near_duplicate"), ("too_long", None)]
    for reason, expected in cases:
        earlier = replace(make_exemplar(BARCODE), reason=reason)
        [kept] = reject_same_meanings(TIMED, [again], [earlier], SentenceEncoder())
        assert expected == kept.reason


def test_encoder_has_no_say_in_a_language_that_it_does_not_know() -> None:
    state = make_state(replace(make_test_plan(TIMED), language=Language("hi")))

    assert [None] == [item.reason for item in screen_meanings(state, [make_exemplar(TIMER)], WordVectors())]
