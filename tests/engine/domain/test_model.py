"""Handles are well formed or refused, and a model answers by trait and pole."""

import re
import sys
from dataclasses import replace

import pytest
from fakes.builders import make_model, make_seeds, make_trait

from engine.domain.model import HANDLE_MAX_LENGTH, MAX_SEEDS_PER_POLE, Seed, check_handle, digest_text
from engine.domain.unlabelled_texts import MAX_PLANNED, OwnTexts
from engine.errors import HandleError

# From `printf 'naïve' | sha256sum`.
NAIVE = "f86fd89de87a848a45bfe77708d91a5d2ff48b8e4a4b98af5165af82692f8928"


@pytest.mark.parametrize(
    "handle", ["u22a8.technical-writing", "0.1", "a-.b-", "a--b.c", "a." + "b" * (HANDLE_MAX_LENGTH - 2)]
)
def test_well_formed_handle_is_returned_as_it_is(handle: str) -> None:
    assert handle == check_handle(handle)


@pytest.mark.parametrize(
    "handle",
    [
        *("", ".", "../x", "a.b/c", "/a.b", "U22a8.test", "u22a8.Test", "nodot", "a.b.c", "a..b", ".b", "a."),
        *("-a.b", "a.-b", "\na.b", "a .b", "a_b.c", "a.b\0", "a.ñandú", "a.b٣", "x" * 60),
        "а.b",  # a Cyrillic а
    ],
)
def test_malformed_handle_is_refused(handle: str) -> None:
    expected = rf"^{re.escape(repr(handle))} is not a handle\. A handle is <namespace>\.<name>"
    with pytest.raises(HandleError, match=expected) as caught:
        check_handle(handle)
    for long in ("x" * 61, "a." + "b" * (HANDLE_MAX_LENGTH - 1)):
        with pytest.raises(HandleError, match=rf"^'{long[:57]}… \({len(long)} characters\)' is not a handle"):
            check_handle(long)

    assert 2 == caught.value.exit_code


def test_trait_answers_by_pole_and_a_seed_stands_at_one_only_at_its_very_end() -> None:
    trait = make_trait(positive_paraphrase=("Plain.",), negative_paraphrase=("Tangled.",))

    assert ("Clear", "Obscure") == (trait.label("positive"), trait.label("negative"))
    assert (("Plain.",), ("Tangled.",)) == (trait.paraphrase("positive"), trait.paraphrase("negative"))
    assert ["positive", "negative", None, None] == [
        Seed("clarity", "Some text.", quality).pole for quality in (1.0, 0.0, 0.99, 0.01)
    ]


def test_traits_are_found_by_their_key_and_seeds_by_trait_and_pole() -> None:
    others = (Seed("clarity", "Neither here nor there.", 0.5), Seed("warmth", "Dear you.", 1.0))
    model = make_model(make_trait(), make_trait("warmth"), seeds=(*make_seeds(), *others))

    assert model.traits[1] == model.trait("warmth")
    with pytest.raises(KeyError):
        model.trait("depth")
    assert make_seeds()[:3] == model.seeds_at("clarity", "positive")
    assert make_seeds()[3:] == model.seeds_at("clarity", "negative")
    assert () == model.seeds_at("warmth", "negative")
    # They are found once for each model, which a copy must not inherit.
    assert () == replace(model, seeds=()).seeds_at("clarity", "positive")


def test_seeds_are_spread_evenly_and_what_a_person_has_accepted_stands_after_them() -> None:
    reviewed = Seed("clarity", "Accepted.", 1.0)
    model = make_model(seeds=make_seeds(), reviewed=(reviewed, Seed("clarity", "Refused.", 0.0)))

    assert make_seeds()[::2] == model.sample_seeds(3)
    assert make_seeds() == model.sample_seeds(6)
    assert (*make_seeds()[:3], reviewed) == model.examples_at("clarity", "positive")
    assert NAIVE == digest_text("naïve") == Seed("clarity", "naïve", 1.0).sha256


def test_at_most_two_thousand_seeds_are_drawn_by_their_digests() -> None:
    """Of poles that have fewer, and of qualities between the poles, all are."""
    crowd = tuple(Seed("clarity", f"plain {number}", 1.0) for number in range(MAX_SEEDS_PER_POLE + 1))
    few = (Seed("clarity", "between", 0.4), *make_seeds()[3:])
    model = make_model(seeds=(*few, *crowd))
    ordered = sorted(crowd, key=lambda seed: seed.sha256)

    assert ordered[:-1] == list(model.seeds_at("clarity", "positive"))
    assert make_seeds()[3:] == model.seeds_at("clarity", "negative")
    assert [*few, *(seed for seed in crowd if seed != ordered[-1])] == list(model.draw_seeds())
    assert make_seeds() == make_model(seeds=make_seeds()).draw_seeds()


def test_of_texts_only_the_first_go_to_another_process_and_all_are_known_by_their_keys() -> None:
    texts = OwnTexts(
        drawn=("x",) * (MAX_PLANNED + 1), keys=b"".join(key.to_bytes(8, sys.byteorder) for key in (3, 5, 9))
    )
    sent = make_model(texts=texts).without_stored().texts

    assert (MAX_PLANNED, b"") == (len(sent.drawn), sent.keys)
    assert [3, 5, 9] == [key for key in range(12) if texts.has(key)]
    assert not sent.has(3)
