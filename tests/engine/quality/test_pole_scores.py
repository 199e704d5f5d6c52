"""Where exemplars lie between the poles, by those whose word has proved its worth."""

import numpy as np
import pytest
from fakes.builders import make_exemplar, make_model, make_seeds, make_trait
from fakes.word_vectors import WordVectors

from engine.domain.model import POLES
from engine.quality.pole_scores import list_pole_names, measure_pole_scores
from engine.quality.reference_axis import ReferenceAxis, fit_reference_axis
from engine.text.embedding import SentenceEncoder

TRAIT = make_trait()
SEEDED = make_model(seeds=make_seeds())
NOTHING = ReferenceAxis("nothing", np.zeros(512))
PLAIN = "The page is in the cache for an hour, and then the server builds it again."
STILTED = "Retention of pages within the caching tier is governed by a validity window."


def test_text_in_the_manner_of_a_poles_seeds_lies_towards_it() -> None:
    made = [make_exemplar(PLAIN, "positive"), make_exemplar(STILTED, "negative")]
    axis = fit_reference_axis(SEEDED, TRAIT, SentenceEncoder())
    scores = measure_pole_scores(axis, made, None, SentenceEncoder())

    assert scores[made[0].key] > 0 > scores[made[1].key]
    assert 1.0 == pytest.approx((scores[made[0].key] - scores[made[1].key]) / 2, abs=1e-4)


def test_place_does_not_depend_on_the_pole_that_was_asked_for() -> None:
    axis = fit_reference_axis(SEEDED, TRAIT, SentenceEncoder())
    right = [make_exemplar(PLAIN, "positive"), make_exemplar(STILTED, "negative")]
    wrong = [make_exemplar(STILTED, "positive"), make_exemplar(PLAIN, "negative")]
    one, other = (measure_pole_scores(axis, made, None, SentenceEncoder()) for made in (right, wrong))

    assert list(one.values()) == list(other.values())[::-1]


@pytest.mark.parametrize(("judge_auc", "moves"), [(None, False), (0.5, False), (0.2, False), (0.9, True)])
def test_judge_has_a_say_by_the_skill_that_it_has_shown(judge_auc: float | None, moves: bool) -> None:
    """The judge says the opposite of the axis."""
    made = [make_exemplar(PLAIN, "positive", odds=-9.0), make_exemplar(STILTED, "negative", odds=9.0)]
    axis = fit_reference_axis(SEEDED, TRAIT, SentenceEncoder())
    scores = measure_pole_scores(axis, made, judge_auc, SentenceEncoder())
    alone = measure_pole_scores(axis, made, None, SentenceEncoder())

    assert moves == (scores[made[0].key] < alone[made[0].key])


def test_judge_alone_places_where_there_is_no_axis() -> None:
    made = [make_exemplar(PLAIN, "positive", odds=2.0), make_exemplar(STILTED, "negative", odds=-2.0)]

    assert [1.0, -1.0] == list(measure_pole_scores(NOTHING, made, 0.9, WordVectors()).values())


@pytest.mark.parametrize("judge_auc", [None, 0.5])
def test_where_nothing_is_known_nothing_is_placed(judge_auc: float | None) -> None:
    made = [make_exemplar(PLAIN, "positive", odds=2.0), make_exemplar(STILTED, "negative", odds=-2.0)]

    assert {} == measure_pole_scores(NOTHING, made, judge_auc, WordVectors())


def test_axis_that_is_at_chance_places_nothing() -> None:
    made = [make_exemplar(PLAIN, "positive"), make_exemplar(STILTED, "negative")]

    assert {} == measure_pole_scores(ReferenceAxis("seeds", np.eye(512)[0], 0.5), made, None, SentenceEncoder())


def test_pole_is_called_by_its_label_and_its_paraphrases() -> None:
    trait = make_trait(positive_paraphrase=("Plain sentences.",))

    assert ["Clear", "Clarity: Clear", "Plain sentences."] == list_pole_names(trait, "positive")
    assert ["Obscure", "Clarity: Obscure"] == list_pole_names(trait, "negative")


def test_bare_label_is_no_name() -> None:
    trait = make_trait("health", type="topic", positive_label="Yes", negative_label="No")

    assert ["Health"] == list_pole_names(trait, "positive")


def test_nothing_has_no_place() -> None:
    assert {} == measure_pole_scores(NOTHING, [], None, WordVectors())


def test_topic_without_seeds_is_placed_by_its_own_exemplars() -> None:
    """The names of the poles say the opposite of what the exemplars show, and are not used."""
    trait = make_trait("sea", type="topic", positive_label="Harbour", negative_label="Other matters")
    texts = {"positive": "other matters waves boats", "negative": "harbour bread ovens"}
    made = [make_exemplar(f"{texts[pole]} {index}", pole, index, "sea") for index in range(6) for pole in POLES]
    axis = fit_reference_axis(make_model(trait), trait, WordVectors())
    scores = measure_pole_scores(axis, made, None, WordVectors())

    assert "exemplars" == axis.basis
    assert all((scores[item.key] > 0) == (item.pole == "positive") for item in made)
