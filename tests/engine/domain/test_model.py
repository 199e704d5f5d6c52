"""Handles are well formed or refused, and a model answers by trait and pole."""

from dataclasses import replace

import pytest
from fakes.builders import make_model, make_seeds, make_trait

from engine.domain.model import HANDLE_MAX_LENGTH, MAX_SEEDS_PER_POLE, Seed, check_handle, digest_text, is_handle
from engine.errors import HandleError


@pytest.mark.parametrize(
    "handle",
    [
        "u22a8.technical-writing",
        "a.b",
        "0.1",
        "ns-1.name-2",
        "a-.b-",
        "a--b.c",
        "a." + "b" * (HANDLE_MAX_LENGTH - 2),
    ],
)
def test_well_formed_handle_is_returned_as_it_is(handle: str) -> None:
    assert handle == check_handle(handle)
    assert is_handle(handle)


@pytest.mark.parametrize(
    "handle",
    [
        "",
        ".",
        "../x",
        "a/../b",
        "a.b/../c",
        "a.b/c",
        "a.b\\c",
        "/a.b",
        "U22a8.test",
        "u22a8.Test",
        "nodot",
        "a.b.c",
        "a..b",
        ".b",
        "a.",
        "-a.b",
        "a.-b",
        "a.b\n",
        "\na.b",
        "a.b ",
        "a .b",
        "a_b.c",
        "a.b\0",
        "ü.b",
        "a.ñandú",
        "a.b٣",
        "а.b",  # a Cyrillic а
        "a.b" * 100,
        "a." + "b" * (HANDLE_MAX_LENGTH - 1),
    ],
)
def test_malformed_handle_is_refused(handle: str) -> None:
    assert not is_handle(handle)
    with pytest.raises(HandleError) as caught:
        check_handle(handle)

    assert "is not a handle. A handle is <namespace>.<name>" in str(caught.value)
    assert 2 == caught.value.exit_code


def test_refusal_shows_the_handle_with_its_control_characters_escaped() -> None:
    with pytest.raises(HandleError, match=r"^'a\.b\\n' is not a handle"):
        check_handle("a.b\n")


def test_refusal_shortens_a_handle_of_300_characters() -> None:
    with pytest.raises(HandleError) as caught:
        check_handle("x" * 300)

    assert f"'{'x' * 57}… (300 characters)' is not a handle" in str(caught.value)
    assert "x" * 58 not in str(caught.value)


def test_trait_answers_by_pole() -> None:
    trait = make_trait(positive_paraphrase=("Plain.",), negative_paraphrase=("Tangled.",))

    assert ("Clear", "Obscure") == (trait.label("positive"), trait.label("negative"))
    assert (("Plain.",), ("Tangled.",)) == (trait.paraphrase("positive"), trait.paraphrase("negative"))


@pytest.mark.parametrize(
    ("quality", "pole"), [(1.0, "positive"), (0.0, "negative"), (0.5, None), (0.99, None), (0.01, None)]
)
def test_seed_stands_at_a_pole_only_at_its_very_end(quality: float, pole: str | None) -> None:
    assert pole == Seed("clarity", "Some text.", quality).pole


def test_seeds_are_found_by_trait_and_pole() -> None:
    middle = Seed("clarity", "Neither here nor there.", 0.5)
    model = make_model(
        make_trait(), make_trait("warmth"), seeds=(*make_seeds(), middle, Seed("warmth", "Dear you.", 1.0))
    )

    assert make_seeds()[:3] == model.seeds_at("clarity", "positive")
    assert make_seeds()[3:] == model.seeds_at("clarity", "negative")
    assert () == model.seeds_at("warmth", "negative")


def test_trait_is_found_by_its_key() -> None:
    model = make_model(make_trait(), make_trait("warmth"))

    assert model.traits[1] == model.trait("warmth")
    with pytest.raises(KeyError):
        model.trait("depth")


def test_digest_is_the_sha256_of_the_utf8_text() -> None:
    # From `printf 'naïve' | sha256sum`.
    assert "f86fd89de87a848a45bfe77708d91a5d2ff48b8e4a4b98af5165af82692f8928" == digest_text("naïve")
    assert digest_text("naïve") == Seed("clarity", "naïve", 1.0).sha256


def test_at_most_two_thousand_seeds_are_drawn_by_their_digests() -> None:
    """Of poles that have fewer, and of qualities between the poles, all are."""
    crowd = tuple(Seed("clarity", f"plain {number}", 1.0) for number in range(MAX_SEEDS_PER_POLE + 500))
    few = (Seed("clarity", "between", 0.4), *make_seeds()[3:])
    model = make_model(seeds=(*few, *crowd))
    drawn = model.draw_seeds_at("clarity", "positive")

    assert sorted(crowd, key=lambda seed: seed.sha256)[:MAX_SEEDS_PER_POLE] == list(drawn)
    assert make_seeds()[3:] == model.draw_seeds_at("clarity", "negative")
    assert [*few, *(seed for seed in crowd if seed in set(drawn))] == list(model.draw_seeds())
    assert make_seeds() == make_model(seeds=make_seeds()).draw_seeds()


def test_seeds_of_a_changed_model_are_its_own() -> None:
    """They are found once for each model, which a copy must not inherit."""
    model = make_model(seeds=make_seeds())

    assert make_seeds()[:3] == model.seeds_at("clarity", "positive")
    assert () == replace(model, seeds=()).seeds_at("clarity", "positive")
    assert model == make_model(seeds=make_seeds())
