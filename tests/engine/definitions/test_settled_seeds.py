"""A seed that is doubled counts once, seeds that contradict each other not at all, and both lines are named."""

import pytest
from fakes.builders import make_model, make_seeds, make_trait

from engine.definitions.loader import MAX_NAMED, deduplicate_seeds
from engine.domain.model import Model, Seed

TEXT = "The spare battery of the scanner lies in the second drawer."


def make_seed(line: int, quality: float = 1.0, text: str = TEXT, trait: str = "clarity") -> Seed:
    return Seed(trait, text, quality, f"u22a8.test/samples.jsonl:{line}")


def settle(*seeds: Seed) -> Model:
    return deduplicate_seeds(make_model(seeds=seeds))


@pytest.mark.parametrize(
    "seeds",
    [
        make_seeds(),
        (make_seed(3), make_seed(9, 0.0, TEXT.upper())),
        (make_seed(3), make_seed(9, 0.0, TEXT.replace(".", "!"))),
        (make_seed(3), make_seed(3, 0.0, trait="tone")),
    ],
    ids=["no repeats", "another case at the other pole", "other marks at the other pole", "two traits"],
)
def test_seeds_that_are_not_the_same_stay_as_they_are(seeds: tuple[Seed, ...]) -> None:
    model = make_model(make_trait(), make_trait("tone"), seeds=seeds)

    assert model == deduplicate_seeds(model)


@pytest.mark.parametrize("text", [TEXT, f" {TEXT.replace(' ', '  ')} ", TEXT.replace("battery", "bat\u00adtery")])
def test_text_at_both_poles_counts_for_neither(text: str) -> None:
    seeds = (make_seed(3), *make_seeds(), make_seed(9, 0.0, text))
    settled = settle(*seeds)
    [skipped] = settled.skipped

    assert make_seeds() == settled.seeds
    assert (seeds[0], seeds[-1]) == settled.conflicting_labels
    assert "seed for clarity" == skipped.what
    assert "samples.jsonl:3 (quality 1) and u22a8.test/samples.jsonl:9 (quality 0)" in skipped.why


def test_doubled_text_counts_once() -> None:
    seeds = (make_seed(3), make_seed(9), make_seed(12, 0.75), make_seed(13, 1.0, TEXT.upper()))
    settled = settle(*seeds)
    [skipped] = settled.skipped

    assert seeds[:1] == settled.seeds
    assert () == settled.conflicting_labels
    assert all(f"samples.jsonl:{line} (quality" in skipped.why for line in (3, 9, 12, 13))


@pytest.mark.parametrize(
    ("qualities", "conflicting_labels"),
    [((1.0, 0.0), 2), ((0.8, 0.3), 2), ((1.0, 0.5), 0), ((0.5, 0.0), 0), ((1.0, 1.0, 0.0), 3)],
)
def test_qualities_contradict_across_the_middle_and_one_dissent_takes_all_of_them_out(
    qualities: tuple[float, ...], conflicting_labels: int
) -> None:
    settled = settle(*(make_seed(line, quality) for line, quality in enumerate(qualities)))

    assert (conflicting_labels, 0 if conflicting_labels else 1) == (len(settled.conflicting_labels), len(settled.seeds))
    assert 1 == len(settled.skipped)


@pytest.mark.parametrize("quality", [1.0, 0.0])
def test_only_the_first_of_many_are_named(quality: float) -> None:
    texts = [f"{TEXT} It was put there {number} weeks ago." for number in range(MAX_NAMED + 3)]
    settled = settle(*(make_seed(line, value, text) for line, text in enumerate(texts, 1) for value in (1.0, quality)))

    assert MAX_NAMED + 1 == len(settled.skipped)
    assert "3 more" in settled.skipped[-1].what
