"""Where exemplars lie between the poles, by those whose word has proved its worth."""

import pytest
from fakes.builders import make_exemplar, make_model, make_seeds, make_trait
from fakes.word_vectors import WordVectors

from engine.domain.model import POLES, Seed
from engine.quality.pole_scores import (
    MIN_SEEDS_PER_POLE,
    NAMES_AUC,
    fit_reference_axis,
    list_pole_names,
    measure_pole_scores,
)
from engine.text.embedding import SentenceEncoder

TRAIT = make_trait()
PLAIN = "The page is in the cache for an hour, and then the server builds it again."
STILTED = "Retention of pages within the caching tier is governed by a validity window."


def test_text_in_the_manner_of_a_poles_seeds_lies_towards_it() -> None:
    made = [make_exemplar(PLAIN, "positive"), make_exemplar(STILTED, "negative")]
    scores = measure_pole_scores(make_model(seeds=make_seeds()), TRAIT, made, None, SentenceEncoder())

    assert scores[made[0].key] > 0 > scores[made[1].key]
    assert 1.0 == pytest.approx((scores[made[0].key] - scores[made[1].key]) / 2, abs=1e-4)


def test_place_does_not_depend_on_the_pole_that_was_asked_for() -> None:
    model = make_model(seeds=make_seeds())
    right = [make_exemplar(PLAIN, "positive"), make_exemplar(STILTED, "negative")]
    wrong = [make_exemplar(STILTED, "positive"), make_exemplar(PLAIN, "negative")]
    one, other = (measure_pole_scores(model, TRAIT, made, None, WordVectors()) for made in (right, wrong))

    assert list(one.values()) == list(other.values())[::-1]


@pytest.mark.parametrize(("judge_auc", "moves"), [(None, False), (0.5, False), (0.2, False), (0.9, True)])
def test_judge_has_a_say_by_the_skill_that_it_has_shown(judge_auc: float | None, moves: bool) -> None:
    """The judge says the opposite of the axis."""
    made = [make_exemplar(PLAIN, "positive", odds=-9.0), make_exemplar(STILTED, "negative", odds=9.0)]
    model = make_model(seeds=make_seeds())
    scores = measure_pole_scores(model, TRAIT, made, judge_auc, SentenceEncoder())
    alone = measure_pole_scores(model, TRAIT, made, None, SentenceEncoder())

    assert moves == (scores[made[0].key] < alone[made[0].key])


def test_without_seeds_the_names_of_the_poles_are_the_axis() -> None:
    trait = make_trait("warmth", positive_label="Warm", negative_label="Cold")
    made = [make_exemplar("a warm word", "positive", trait="warmth"), make_exemplar("cold", "negative", trait="warmth")]
    axis, auc = fit_reference_axis(make_model(trait), trait, WordVectors())
    scores = measure_pole_scores(make_model(trait), trait, made, None, WordVectors())

    assert NAMES_AUC == auc
    assert axis @ WordVectors().embed(["warm"])[0] > 0 > axis @ WordVectors().embed(["cold"])[0]
    assert scores[made[0].key] > scores[made[1].key]


def test_pole_is_called_by_its_label_and_its_paraphrases() -> None:
    trait = make_trait(positive_paraphrase=("Plain sentences.",))

    assert ["Clear", "Clarity: Clear", "Plain sentences."] == list_pole_names(trait, "positive")
    assert ["Obscure", "Clarity: Obscure"] == list_pole_names(trait, "negative")


def test_axis_from_seeds_knows_how_well_it_tells_them_apart() -> None:
    seeds = tuple(
        Seed("clarity", f"{words} of matter{index}", quality, f"{quality}{index}")
        for quality, words in ((1.0, "plain short words"), (0.0, "long stilted clauses"))
        for index in range(MIN_SEEDS_PER_POLE)
    )
    _, auc = fit_reference_axis(make_model(seeds=seeds), TRAIT, WordVectors())

    assert 1.0 == auc


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_seeds_have_a_say_together_with_the_names_of_the_poles(count: int) -> None:
    """Left out one by one they would seem to know nothing, and nothing at all would be placed."""
    seeds = [seed for pole in POLES for seed in make_model(seeds=make_seeds()).seeds_at("clarity", pole)[:count]]
    model = make_model(seeds=tuple(seeds))
    made = [make_exemplar(PLAIN, "positive"), make_exemplar(STILTED, "negative")]
    _, auc = fit_reference_axis(model, TRAIT, SentenceEncoder())
    scores = measure_pole_scores(model, TRAIT, made, None, SentenceEncoder())

    assert NAMES_AUC == auc
    assert scores[made[0].key] > scores[made[1].key]


def test_one_seed_at_a_pole_earns_no_perfect_score() -> None:
    seeds = make_model(seeds=make_seeds())
    lone = (*seeds.seeds_at("clarity", "positive")[:1], *seeds.seeds_at("clarity", "negative"))

    assert NAMES_AUC == fit_reference_axis(make_model(seeds=lone), TRAIT, SentenceEncoder())[1]


def test_nothing_has_no_place() -> None:
    assert {} == measure_pole_scores(make_model(), TRAIT, [], None, WordVectors())


def test_topic_without_seeds_is_placed_by_its_own_exemplars() -> None:
    """The names of the poles say the opposite of what the exemplars show, and are not used."""
    trait = make_trait("sea", type="topic", positive_label="Harbour", negative_label="Other matters")
    texts = {"positive": "other matters waves boats", "negative": "harbour bread ovens"}
    made = [make_exemplar(f"{texts[pole]} {index}", pole, index, "sea") for index in range(6) for pole in POLES]
    scores = measure_pole_scores(make_model(trait), trait, made, None, WordVectors())

    assert all((scores[item.key] > 0) == (item.pole == "positive") for item in made)
