"""What is known of a trait before a run, and what the axis from it is worth."""

import pickle
from functools import partial

import numpy as np
import pytest
from fakes.builders import make_model, make_seeds, make_trait
from fakes.word_vectors import WordVectors

from engine.axis.reference_axis import MIN_AUC, fit_reference_axes, fit_reference_axis
from engine.domain.definition import Trait
from engine.domain.model import MAX_SEEDS_PER_POLE, POLES, Seed
from engine.text.embedding import SentenceEncoder

Paraphrases = tuple[tuple[str, ...], tuple[str, ...]]
NEITHER, NONE = ("Clear", "Obscure"), ((), ())
WORDS = {"positive": "plain short words", "negative": "long stilted clauses"}


def make_worded(labels: tuple[str, str], paraphrases: Paraphrases) -> Trait:
    """A trait of these labels and paraphrases, each the positive pole's and the negative one's."""
    return make_trait(
        positive_label=labels[0],
        negative_label=labels[1],
        positive_paraphrase=paraphrases[0],
        negative_paraphrase=paraphrases[1],
    )


def make_known(count: int, flipped: bool = False) -> tuple[Seed, ...]:
    """So many seeds a pole, each with words of its pole, or of the other one, and one of its own."""
    return tuple(
        Seed("clarity", f"{WORDS[pole]} of matter{pole}{index}", float((pole == "positive") != flipped))
        for pole in POLES
        for index in range(count)
    )


def test_seeds_that_place_each_other_are_the_axis_and_others_are_not() -> None:
    axis, mixed = (
        fit_reference_axis(make_model(seeds=seeds), make_trait(), WordVectors())
        for seeds in (make_known(5), (*make_known(3), *make_known(3, flipped=True)))
    )

    assert ("seeds", 1.0, 1.0) == (axis.basis, axis.auc, axis.seeds_auc)
    assert axis.vector @ WordVectors().embed(["plain"])[0] > 0 > axis.vector @ WordVectors().embed(["stilted"])[0]
    assert ("nothing", None) == (mixed.basis, mixed.auc)
    assert mixed.seeds_auc is not None
    assert mixed.seeds_auc < MIN_AUC


@pytest.mark.parametrize(
    ("count", "flipped", "labels", "paraphrases", "basis", "auc"),
    [
        (1, False, NEITHER, (("Plain words.",), ("Stilted clauses.",)), "seeds and paraphrases", 3 / 4),
        (2, False, NEITHER, (("Plain words.",), ("Stilted clauses.",)), "seeds and paraphrases", 5 / 6),
        (2, True, NEITHER, (("Plain words.",), ("Stilted clauses.",)), "nothing", None),
        (1, False, ("Plain", "Stilted"), NONE, "nothing", None),
        (2, False, ("Plain", "Stilted"), NONE, "seeds and labels", 5 / 6),
        (5, False, ("Plain", "Stilted"), NONE, "seeds", 1.0),
        (2, False, ("Plain", "Not plain"), NONE, "nothing", None),
        (2, False, NEITHER, NONE, "nothing", None),
        (3, False, NEITHER, NONE, "seeds", 7 / 8),
    ],
)
def test_few_seeds_confirm_or_contradict_words(
    count: int, flipped: bool, labels: tuple[str, str], paraphrases: Paraphrases, basis: str, auc: float | None
) -> None:
    trait = make_worded(labels, paraphrases)
    axis = fit_reference_axis(make_model(trait, seeds=make_known(count, flipped)), trait, WordVectors())

    assert (basis, auc) == (axis.basis, axis.auc if axis.auc is None else pytest.approx(axis.auc))


@pytest.mark.parametrize(
    ("labels", "paraphrases", "basis"),
    [
        (("Plain", "Stilted"), (("Plain words.",), ("Stilted clauses.",)), "paraphrases"),
        (("Plain", "Stilted"), (("Stilted clauses.",), ("Plain words.",)), "nothing"),
        (("Plain", "Stilted"), (("Plain words.",), ()), "nothing"),
        (("Plain", "Stilted"), (("Plain words.",), ("Not plain words.",)), "nothing"),
        # Where the labels are a negation, one paraphrase a pole has nobody to confirm it.
        (("Plain", "Not plain"), (("Plain words.",), ("Stilted clauses.",)), "nothing"),
        (("Plain", "Not plain"), (("Plain words.", "Short plain."), ("Stilted.", "A stilted one.")), "paraphrases"),
    ],
)
def test_paraphrases_need_a_second_witness(labels: tuple[str, str], paraphrases: Paraphrases, basis: str) -> None:
    trait = make_worded(labels, paraphrases)

    assert basis == fit_reference_axis(make_model(trait), trait, WordVectors()).basis


def test_axes_are_the_same_in_another_process_which_gets_the_drawn_seeds_alone() -> None:
    model, crowd = make_model(seeds=make_seeds()), make_model(seeds=make_known(MAX_SEEDS_PER_POLE + 500))
    here = fit_reference_axes(model, SentenceEncoder())
    work = partial(fit_reference_axes, model.without_stored(), SentenceEncoder())
    there = pickle.loads(pickle.dumps(work))()

    assert list(here) == list(there)
    assert np.array_equal(here["clarity"].vector, there["clarity"].vector)
    assert 2 * MAX_SEEDS_PER_POLE == len(crowd.without_stored().seeds)
