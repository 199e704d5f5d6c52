"""What is known of a trait before a run, and what the axis from it is worth."""

import pickle
import sys

import numpy as np
import pytest
from bench.label_pairs import FILES, KNOWN, LabelPair, list_label_pairs, measure_worth
from fakes.builders import make_model, make_seeds, make_trait
from fakes.crowd import RandomVectors, make_crowd
from fakes.word_vectors import WordVectors

from engine.domain.model import MAX_SEEDS_PER_POLE, POLES, Pole, Seed
from engine.quality.labels import find_label_fault
from engine.quality.reference_axis import (
    MIN_AUC,
    fit_reference_axes,
    fit_reference_axis,
    prepare_axes,
)
from engine.text.embedding import SentenceEncoder

PAIRS = [pair for file in FILES for pair in list_label_pairs(file)]
WORDS = {"positive": "plain short words", "negative": "long stilted clauses"}


def make_known(count: int, flipped: bool = False) -> tuple[Seed, ...]:
    """So many seeds a pole, each with words of its pole, or of the other one, and one of its own."""
    return tuple(
        Seed("clarity", f"{WORDS[pole]} of matter{pole}{index}", float((pole == "positive") != flipped))
        for pole in POLES
        for index in range(count)
    )


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.name}: {' / '.join(pair.labels)}")
def test_axis_that_is_used_places_plain_texts(pair: LabelPair) -> None:
    worth = {known: measure_worth(pair, *known) for known in KNOWN}

    assert {} == {known: item for known, item in worth.items() if item.after is not None and item.after < MIN_AUC}


def test_bench_has_what_misled_the_old_axis() -> None:
    """Forty pairs and more in four languages, a third of them placed the wrong way round by their names."""
    before = [measure_worth(pair, 0, 0).before for pair in PAIRS]
    faults = [find_label_fault(*pair.labels) for pair in PAIRS]

    assert 40 <= len(PAIRS)
    assert {"en", "de", "fr", "ja"} <= {pair.language for pair in PAIRS}
    assert min(faults.count("negated"), faults.count("bare"), faults.count(None)) >= 10
    assert sum(auc < 0.5 for auc in before) > len(before) / 4


def test_labels_alone_are_never_an_axis() -> None:
    assert {"nothing"} == {measure_worth(pair, 0, 0).basis for pair in PAIRS}


def test_seeds_that_place_each_other_are_the_axis() -> None:
    axis = fit_reference_axis(make_model(seeds=make_known(5)), make_trait(), WordVectors())

    assert ("seeds", 1.0, 1.0) == (axis.basis, axis.auc, axis.seeds_auc)
    assert axis.vector @ WordVectors().embed(["plain"])[0] > 0 > axis.vector @ WordVectors().embed(["stilted"])[0]


def test_seeds_that_do_not_place_each_other_are_no_axis() -> None:
    mixed = (*make_known(3), *make_known(3, flipped=True))
    axis = fit_reference_axis(make_model(seeds=mixed), make_trait(), WordVectors())

    assert "nothing" == axis.basis
    assert axis.seeds_auc is not None
    assert axis.seeds_auc < MIN_AUC


@pytest.mark.parametrize(
    ("count", "flipped", "basis"),
    [(1, False, "seeds and paraphrases"), (2, False, "seeds and paraphrases"), (2, True, "nothing")],
)
def test_few_seeds_confirm_or_contradict_paraphrases(count: int, flipped: bool, basis: str) -> None:
    trait = make_trait(positive_paraphrase=("Plain words.",), negative_paraphrase=("Stilted clauses.",))
    axis = fit_reference_axis(make_model(trait, seeds=make_known(count, flipped)), trait, WordVectors())

    assert basis == axis.basis


@pytest.mark.parametrize(("count", "basis"), [(1, "nothing"), (2, "seeds and labels")])
def test_labels_take_two_seeds_to_be_confirmed(count: int, basis: str) -> None:
    trait = make_trait(positive_label="Plain", negative_label="Stilted")
    axis = fit_reference_axis(make_model(trait, seeds=make_known(count)), trait, WordVectors())

    assert basis == axis.basis


@pytest.mark.parametrize("labels", [("Plain", "Not plain"), ("Yes", "No"), ("Plain", "Unplain")])
def test_label_that_says_nothing_is_not_confirmed_by_seeds(labels: tuple[str, str]) -> None:
    trait = make_trait(positive_label=labels[0], negative_label=labels[1])

    assert "nothing" == fit_reference_axis(make_model(trait, seeds=make_known(2)), trait, WordVectors()).basis


def test_more_seeds_make_a_confirmation_worth_more() -> None:
    trait = make_trait(positive_label="Plain", negative_label="Stilted")
    aucs = [fit_reference_axis(make_model(trait, seeds=make_known(n)), trait, WordVectors()).auc for n in (2, 3)]

    assert [pytest.approx(5 / 6), pytest.approx(7 / 8)] == aucs


@pytest.mark.parametrize(
    ("paraphrases", "basis"),
    [
        ({"positive": ("Plain words.",), "negative": ("Stilted clauses.",)}, "paraphrases"),
        ({"positive": ("Stilted clauses.",), "negative": ("Plain words.",)}, "nothing"),
        ({"positive": ("Plain words.",), "negative": ()}, "nothing"),
        ({"positive": ("Plain words.",), "negative": ("Not plain words.",)}, "nothing"),
    ],
)
def test_paraphrases_need_a_second_witness(paraphrases: dict[Pole, tuple[str, ...]], basis: str) -> None:
    trait = make_trait(
        positive_label="Plain",
        negative_label="Stilted",
        positive_paraphrase=paraphrases["positive"],
        negative_paraphrase=paraphrases["negative"],
    )

    assert basis == fit_reference_axis(make_model(trait), trait, WordVectors()).basis


def test_two_paraphrases_are_witnesses_of_each_other() -> None:
    """Where the labels are a negation, one paraphrase a pole has nobody to confirm it."""
    positive, negative = ("Plain words.", "Short plain words."), ("Stilted clauses.", "Long stilted clauses.")
    bases = []
    for count in (1, 2):
        trait = make_trait(
            positive_label="Plain",
            negative_label="Not plain",
            positive_paraphrase=positive[:count],
            negative_paraphrase=negative[:count],
        )
        bases.append(fit_reference_axis(make_model(trait), trait, WordVectors()).basis)

    assert ["nothing", "paraphrases"] == bases


def count_calls(count: int) -> int:
    """The calls of Python functions that it takes to fit the axes to so many seeds a pole."""
    model, calls = make_model(seeds=make_crowd(count)), 0

    def count_one(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    work = prepare_axes(model, RandomVectors())
    sys.setprofile(count_one)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_four_times_as_many_seeds_cost_less_than_five_times_as_much() -> None:
    """A quadratic search took sixteen times as much; more seeds than are drawn cost nothing more."""
    few, many, all_drawn, crowd = (count_calls(count) for count in (250, 1_000, 2_000, 4_000))

    assert many < 5 * few
    assert crowd < 1.1 * all_drawn


def test_axes_are_the_same_in_another_process() -> None:
    model = make_model(seeds=make_seeds())
    here = fit_reference_axes(model, SentenceEncoder())
    there = pickle.loads(pickle.dumps(prepare_axes(model, SentenceEncoder())))()

    assert list(here) == list(there)
    assert np.array_equal(here["clarity"].vector, there["clarity"].vector)


def test_work_for_another_process_has_only_the_seeds_that_are_drawn() -> None:
    work = prepare_axes(make_model(seeds=make_crowd(MAX_SEEDS_PER_POLE + 500)), WordVectors())

    assert 2 * MAX_SEEDS_PER_POLE == len(work.args[0].seeds)
