"""Screening keeps or rejects every exemplar with a reason, and of two alike the first in cell order stays."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from fakes.builders import (
    NEGATIVE_SEEDS,
    POSITIVE_SEEDS,
    SCENARIO_POOL,
    make_exemplar,
    make_model,
    make_seeds,
    make_test_plan,
    make_trait,
)

from engine.domain.model import Attached, Length, Model, Pole, Seed
from engine.domain.samples import Exemplar, Reason
from engine.screening.screener import Screener
from engine.selection.choice import Choice
from engine.text.near_duplicates import DuplicatePair
from engine.text.words import count_words

TEXTS = (
    "The spare battery of the scanner lies in the second drawer, beside the charger.",
    "Ask the night porter for the key whenever the side door has been locked early.",
    "Our shop in Leeds closes at noon on Fridays, since nobody comes later than that.",
    "Two of the lamps in the hall were replaced last spring and still work well.",
)
NEAR = TEXTS[0].replace("charger", "chargers")


def make_screener(model: Model | None = None, use_lengths: bool = False) -> Screener:
    return Screener(make_test_plan(model), use_lengths)


def screen(*texts: str, model: Model | None = None) -> list[Exemplar]:
    return make_screener(model).screen([make_exemplar(text, index=index) for index, text in enumerate(texts)])


def list_reasons(exemplars: Iterable[Exemplar]) -> list[Reason | None]:
    return [exemplar.reason for exemplar in exemplars]


def attach(text: str, trait: str = "clarity") -> Model:
    return make_model(attached=(Attached(trait, text, 1.0, "a subject"),))


def test_texts_that_break_no_rule_stand_as_they_came() -> None:
    given = [make_exemplar(text, index=index) for index, text in enumerate(TEXTS)]

    assert given == make_screener().screen(given)


def test_rule_gives_its_reason_and_detail() -> None:
    [rejected] = screen("Dear [Your Name], the battery lies in the second drawer.")

    assert ("placeholder", "[Your Name]") == (rejected.reason, rejected.detail)


def test_same_text_is_a_duplicate_whatever_its_case_and_marks() -> None:
    kept, rejected = screen(TEXTS[0], TEXTS[0].upper().replace(",", " –"))

    assert (None, "duplicate") == (kept.reason, rejected.reason)
    assert f"1.00 like: {TEXTS[0]}" == rejected.detail


def test_text_that_is_nearly_the_same_is_a_near_duplicate() -> None:
    kept, rejected = screen(TEXTS[0], NEAR)

    assert (None, "near_duplicate") == (kept.reason, rejected.reason)
    assert rejected.detail.endswith(f" like: {TEXTS[0]}")
    assert rejected.detail.startswith("0.9")


def test_rejected_text_is_nothing_to_be_a_duplicate_of() -> None:
    leak = f"Clear: {TEXTS[0]}"

    assert ["label_leak", None] == list_reasons(screen(leak, TEXTS[0]))


def test_duplicates_are_found_across_poles_and_traits() -> None:
    model = make_model(make_trait(), make_trait("tone", positive_label="Warm", negative_label="Cold"))
    given = [
        make_exemplar(TEXTS[0]),
        make_exemplar(TEXTS[0], "negative", index=1),
        make_exemplar(NEAR, trait="tone", index=2),
    ]

    assert [None, "duplicate", "near_duplicate"] == list_reasons(make_screener(model).screen(given))


def test_duplicates_are_found_across_rounds() -> None:
    screener = make_screener()
    first = screener.screen([make_exemplar(TEXTS[0])])
    second = screener.screen([make_exemplar(TEXTS[0], index=1), make_exemplar(NEAR, index=2)])

    assert [None] == list_reasons(first)
    assert ["duplicate", "near_duplicate"] == list_reasons(second)


@pytest.mark.parametrize(("text", "reason"), [(TEXTS[0], "duplicate"), (NEAR, "near_duplicate")])
@pytest.mark.parametrize("trait", ["clarity", "another"])
def test_attached_sample_of_any_trait_is_not_made_again(text: str, reason: str, trait: str) -> None:
    assert [reason] == list_reasons(screen(text, model=attach(TEXTS[0], trait)))


def test_other_text_than_the_attached_one_stands() -> None:
    assert [None] == list_reasons(screen(TEXTS[1], model=attach(TEXTS[0])))


@pytest.mark.parametrize("text", [POSITIVE_SEEDS[2].lower(), POSITIVE_SEEDS[2].replace("seven", "eleven")])
def test_copy_of_an_authored_sample_is_rejected(text: str) -> None:
    [rejected] = screen(text, model=make_model(seeds=make_seeds()))

    assert "seed_copy" == rejected.reason
    assert rejected.detail.endswith(f" like: {POSITIVE_SEEDS[2]}")


def test_eight_words_in_a_row_of_an_authored_sample_are_a_copy() -> None:
    model = make_model(seeds=make_seeds())
    eight = "Nobody in the office knew that the cache for ten minutes, and then THE server was all that stood."
    seven = "Nobody in the office knew that the cache for ten minutes, and then a server was all that stood."

    [copied] = screen(eight, model=model)
    assert "seed_copy" == copied.reason
    assert f"8 words in a row of: {POSITIVE_SEEDS[0]}" == copied.detail
    assert [None] == list_reasons(screen(seven, model=model))


def test_authored_sample_between_the_poles_is_not_to_be_copied_either() -> None:
    model = make_model(seeds=(Seed("clarity", TEXTS[0], 0.5, "samples.jsonl:1"),))

    assert ["seed_copy"] == list_reasons(screen(NEAR, model=model))


def test_seed_copy_is_said_before_near_duplicate() -> None:
    copy = NEGATIVE_SEEDS[2].replace("throughout", "everywhere")

    assert ["seed_copy", "seed_copy"] == list_reasons(screen(copy, copy, model=make_model(seeds=make_seeds())))


def test_first_in_cell_order_stays_whatever_came_first() -> None:
    given = [make_exemplar(text, index=index) for index, text in enumerate((TEXTS[0], NEAR, TEXTS[1], TEXTS[0]))]
    expected = make_screener().screen(given)
    assert [None, "near_duplicate", None, "duplicate"] == list_reasons(expected)

    for arrived in itertools.permutations(given):
        assert expected == make_screener().screen(arrived)


def test_exemplars_of_one_cell_are_taken_by_their_number() -> None:
    given = [replace(make_exemplar(text), number=number) for number, text in enumerate((TEXTS[0], NEAR))]

    for arrived in (given, given[::-1]):
        screened = make_screener().screen(arrived)
        assert [(0, None), (1, "near_duplicate")] == [(item.number, item.reason) for item in screened]


def test_nothing_disappears() -> None:
    rng = random.Random(1)
    broken = ["", "Sure, here it is for you.", "Too short", "x" * 30, *TEXTS, NEAR, *POSITIVE_SEEDS]
    given = [make_exemplar(rng.choice(broken), index=index) for index in range(60)]
    given += [make_exemplar(None, index=60 + index, reason="cell_failed") for index in range(5)]
    shuffled = rng.sample(given, len(given))
    screened = make_screener(make_model(seeds=make_seeds())).screen(shuffled)

    assert [item.key for item in given] == [item.key for item in screened]
    assert [item.text for item in given] == [item.text for item in screened]
    assert (
        Counter(item.reason for item in screened if item.reason)
        == Choice((), tuple(screened), frozenset(), {}).count_reasons()
    )
    assert len(TEXTS) == sum(item.is_accepted for item in screened)


@pytest.mark.parametrize("reason", ["cell_failed", "refused", "truncated", "unreadable", "wrong_label", "off_pole"])
def test_reason_that_was_set_before_stays(reason: Reason) -> None:
    text = None if reason == "cell_failed" else TEXTS[0]
    given = replace(make_exemplar(text, reason=reason), detail="said before")
    screener = make_screener()

    assert [given] == screener.screen([given])
    assert [None] == list_reasons(screener.screen([make_exemplar(TEXTS[0], index=1)]))


def test_length_of_the_scenario_is_asked_for_where_lengths_are_used() -> None:
    short = "The battery lies in the drawer."
    long = " ".join(TEXTS)
    given = [make_exemplar(text, index=index) for index, text in enumerate((short, long, "In the drawer."))]

    assert [None, "too_long", "too_short"] == list_reasons(make_screener(use_lengths=True).screen(given))
    assert [None, None, "too_short"] == list_reasons(make_screener().screen(given))


@pytest.mark.parametrize("use_lengths", [True, False])
def test_length_may_be_missed_by_half(use_lengths: bool) -> None:
    scenario_pool = replace(SCENARIO_POOL, lengths=(Length("one sentence", 12, 14),))
    screener = Screener(make_test_plan(scenario_pool=scenario_pool), use_lengths)
    texts = (
        "The battery lies there unused.",
        "Somebody keeps spare keys near reception.",
        "On Monday two engineers carried every old printer from our third floor down to a lorry that waited outside in "
        "rain.",
        "My neighbour grows tomatoes, beans and pumpkins behind his garage, although hardly any sun reaches that "
        "narrow strip before four each afternoon.",
    )
    given = [make_exemplar(text, index=index) for index, text in enumerate(texts)]

    assert [5, 6, 21, 22] == [count_words(text) for text in texts]
    assert ["too_short", None, None, "too_long"] == list_reasons(screener.screen(given))


@pytest.mark.parametrize("use_lengths", [True, False])
def test_titles_may_be_as_short_as_the_models_titles_are(use_lengths: bool) -> None:
    scenario_pool = replace(SCENARIO_POOL, lengths=(Length("one sentence", 3, 9),))
    screener = Screener(make_test_plan(scenario_pool=scenario_pool), use_lengths)
    given = [
        make_exemplar(text, index=index) for index, text in enumerate(("Retry uploads twice.", "Fix it.", TEXTS[0]))
    ]

    assert [None, "too_short", "too_long"] == list_reasons(screener.screen(given))


def test_unmarked_end_is_truncated_only_where_nearly_all_seeds_of_the_trait_end_marked() -> None:
    text = TEXTS[0].removesuffix(".")
    marked = make_seeds()
    unmarked = tuple(replace(seed, text=seed.text.removesuffix(".")) for seed in marked[:1]) + marked[1:]

    assert ["truncated"] == list_reasons(screen(text, model=make_model(seeds=marked)))
    assert [None] == list_reasons(screen(text, model=make_model(seeds=unmarked)))
    assert [None] == list_reasons(screen(text, model=make_model(seeds=make_seeds("another"))))


def test_language_is_that_of_the_seeds() -> None:
    german = [
        "Der Schlüssel wird einmal im Monat gewechselt und danach sicher abgelegt.",
        "Die Sicherung läuft jede Nacht um zwei Uhr, und wir behalten sieben davon.",
    ]
    model = make_model(seeds=tuple(Seed("clarity", text, 1.0) for text in german))
    text = "Am Freitag schließt der Laden schon um zwölf, weil danach niemand mehr kommt."

    assert [None, "wrong_language"] == list_reasons(screen(text, TEXTS[2], model=model))
    assert ["wrong_language", None] == list_reasons(screen(text, TEXTS[2]))


def test_echo_of_the_prompts_own_instructions_is_rejected() -> None:
    text = "In subject, facts, length and tone it could as well stand at the other end of it."

    assert ["prompt_echo"] == list_reasons(screen(text))


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
        ("**Sure, here is the note:** ", 3),
        ("好的，以下是消息：", 3),
        ("네, 메시지입니다: ", 3),
        ("بالتأكيد، إليك الرسالة: ", 3),
        ("Segue a mensagem: ", 5),
        ("Đây là tin nhắn: ", 5),
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


@pytest.mark.parametrize(
    "opening", ["Dear customer,\n", "Добрый день!\n", "Note: ", "At 10:30 ", "See https://a.b/c: ", ""]
)
def test_greeting_or_first_word_that_many_texts_share_stands(opening: str) -> None:
    assert "meta_talk" not in list_reasons(make_screener().screen(open_with(opening, 10)))


def test_pairs_are_kept_for_the_report() -> None:
    screener = make_screener(make_model(seeds=make_seeds()))
    texts = (TEXTS[0], TEXTS[0], POSITIVE_SEEDS[1])
    screener.screen([make_exemplar(text, index=index) for index, text in enumerate(texts)])

    assert [
        DuplicatePair("duplicate", "clarity", TEXTS[0], TEXTS[0], 1.0),
        DuplicatePair("seed_copy", "clarity", POSITIVE_SEEDS[1], POSITIVE_SEEDS[1], 1.0),
    ] == screener.duplicates


def test_copy_of_a_text_that_the_author_contests_is_no_exemplar() -> None:
    contested = (Seed("clarity", TEXTS[0], 1.0, "s.jsonl:1"), Seed("clarity", TEXTS[0], 0.0, "s.jsonl:2"))

    assert ["seed_copy", None] == list_reasons(screen(NEAR, TEXTS[1], model=make_model(contested=contested)))
