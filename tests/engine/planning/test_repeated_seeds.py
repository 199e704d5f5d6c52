"""A seed that is doubled counts once, seeds that contradict each other not at all, and both lines are named."""

import pytest
from fakes.builders import POSITIVE_SEEDS, make_model, make_seeds, make_test_plan, make_trait

from engine.domain.model import Model, Seed, Skipped
from engine.planning.repeated_seeds import MOST_NAMED, settle_seeds

TEXT = "The spare battery of the scanner lies in the second drawer."


def make_seed(line: int, quality: float = 1.0, text: str = TEXT, trait: str = "clarity") -> Seed:
    return Seed(trait, text, quality, f"u22a8.test/samples.jsonl:{line}")


def settle(*seeds: Seed) -> Model:
    return settle_seeds(make_model(seeds=seeds))


def test_seeds_without_repeats_stay_as_they_are() -> None:
    model = make_model(seeds=make_seeds())

    assert model is settle_seeds(model)


@pytest.mark.parametrize("text", [TEXT, f" {TEXT} ", TEXT.replace(" ", "  "), TEXT.replace("battery", "bat\u00adtery")])
def test_text_at_both_poles_counts_for_neither(text: str) -> None:
    settled = settle(make_seed(3), *make_seeds(), make_seed(9, 0.0, text))

    assert make_seeds() == settled.seeds
    assert (make_seed(3), make_seed(9, 0.0, text)) == settled.contested
    assert (
        Skipped(
            "seed u22a8.test/samples.jsonl:3 for clarity",
            "the same text is at the other side in u22a8.test/samples.jsonl:9 (quality 1 here, 0 there), "
            "so neither is used",
        ),
    ) == settled.skipped


@pytest.mark.parametrize("text", [TEXT.upper(), TEXT.replace(".", "!")])
def test_texts_at_both_poles_that_differ_in_case_or_marks_stay(text: str) -> None:
    model = make_model(seeds=(make_seed(3), make_seed(9, 0.0, text)))

    assert model is settle_seeds(model)


def test_doubled_text_counts_once() -> None:
    settled = settle(make_seed(3), make_seed(9), make_seed(12, 0.75))

    assert (make_seed(3),) == settled.seeds
    assert () == settled.contested
    assert (
        Skipped(
            "seed u22a8.test/samples.jsonl:9 for clarity",
            "the same text as u22a8.test/samples.jsonl:3, so it counts once",
        ),
        Skipped(
            "seed u22a8.test/samples.jsonl:12 for clarity",
            "the same text as u22a8.test/samples.jsonl:3, with the quality 1 instead of 0.75, so it counts once",
        ),
    ) == settled.skipped


def test_one_dissent_among_doubled_texts_takes_all_of_them_out() -> None:
    settled = settle(make_seed(1), make_seed(2), make_seed(3, 0.0))

    assert () == settled.seeds
    assert 3 == len(settled.contested)
    assert 1 == len(settled.skipped)


@pytest.mark.parametrize(("one", "other", "contradict"), [(1.0, 0.0, True), (0.8, 0.3, True), (1.0, 0.5, False)])
def test_qualities_contradict_across_the_middle(one: float, other: float, contradict: bool) -> None:
    assert contradict == bool(settle(make_seed(1, one), make_seed(2, other)).contested)


def test_one_text_for_two_traits_is_two_seeds() -> None:
    seeds = (make_seed(3), make_seed(3, 0.0, trait="tone"))
    model = make_model(make_trait(), make_trait("tone"), seeds=seeds)

    assert model is settle_seeds(model)


@pytest.mark.parametrize("quality", [1.0, 0.0])
def test_only_the_first_of_many_are_named(quality: float) -> None:
    texts = [f"{TEXT} It was put there {number} weeks ago." for number in range(MOST_NAMED + 3)]
    settled = settle(*(make_seed(line, value, text) for line, text in enumerate(texts, 1) for value in (1.0, quality)))

    assert MOST_NAMED + 1 == len(settled.skipped)
    assert "3 more" in settled.skipped[-1].what


def test_plan_tells_models_with_contested_seeds_apart_and_no_others() -> None:
    plain, contested = make_model(seeds=make_seeds()), settle(*make_seeds(), make_seed(8), make_seed(9, 0.0))

    assert make_test_plan(plain).plan_id == make_test_plan(settle(*make_seeds())).plan_id
    assert make_test_plan(plain).plan_id != make_test_plan(contested).plan_id


def test_doubling_a_seed_changes_no_plan() -> None:
    doubled = settle(*make_seeds(), Seed("clarity", POSITIVE_SEEDS[0], 1.0, "samples.jsonl:7"))

    assert make_test_plan(make_model(seeds=make_seeds())).plan_id == make_test_plan(doubled).plan_id
