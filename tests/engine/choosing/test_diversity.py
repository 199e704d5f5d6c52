"""Figures tell a varied set from a collapsed one, word salad from texts, and texts of another kind from the seeds'."""

import itertools
import random
from statistics import fmean

import pytest
from fakes.long import choose
from fakes.word_vectors import WordVectors

from engine.choosing.diversity import (
    MIN_TEXTS,
    SUBSET_SIZE,
    list_orderings,
    measure_seed_likeness,
    measure_texts,
    measure_word_order,
)
from engine.definitions.loader import list_handles, load_model
from engine.domain.model import POLES, Model
from engine.domain.verdict import Diversity
from engine.settings import PROJECT_ROOT
from engine.text.embedding import SentenceEncoder

FIGURES = [name for name in Diversity.__slots__ if name != "count"]
ENCODER = SentenceEncoder()
CATALOGUE = str(PROJECT_ROOT / "data" / "models")
MODELS = [load_model(CATALOGUE, handle) for handle in list_handles(CATALOGUE)]
GROUPS = [
    (model, trait.key, pole)
    for model in MODELS
    for trait, pole in itertools.product(model.traits, POLES)
    if len(model.seeds_at(trait.key, pole)) >= MIN_TEXTS
][: choose(3, 1000)]
# As in expectations/run.json.
MIN_WORD_ORDER, MIN_SEED_LIKENESS = 0.1, 0.55
STORY = (
    "The old king had three sons, and the youngest of them was called a simpleton by everyone.",
    "She laid the golden apple on the window sill and waited until the moon had risen.",
    "A raven came down from the tower and asked the boy whether he had any bread.",
    "When they reached the edge of the forest, the witch was already standing at the door.",
    "He swore that he would never again speak a word until the swans had come home.",
    "The miller's daughter wept all night, for there was no straw left to spin.",
    "Far below in the valley a wolf was singing to the seven sleeping goats.",
    "And so the prince climbed onto the glass mountain and was never seen again.",
)
NUMBERED = [f"one two three {number}" for number in range(50)]


def measure(*texts: str) -> Diversity:
    return measure_texts(texts, WordVectors())


def test_figures_of_eight_are_the_mean_over_all_choices_of_eight() -> None:
    """Ten texts, of which some are equal: each of the 45 choices is worked out by itself."""
    texts = ["a", "a", "a", "b", "b", *"cdefg"]
    choices = list(itertools.combinations(texts, 8))
    sums = [sum(one == other for one in chosen for other in chosen) / 64 for chosen in choices]
    shares = [sum(chosen.count(text) > 1 for text in chosen) / 8 for chosen in choices]
    found = measure(*texts)

    assert round(1 / fmean(sums), 4) == found.vendi_of_eight
    assert round(fmean(shares), 4) == found.shared_openings_of_eight
    assert [8.0, 1.0] == [measure(*texts).vendi_of_eight for texts in ("abcdefgh", "a" * 8)]
    assert (None, None) == ((seven := measure(*"abcdefg")).vendi_of_eight, seven.shared_openings_of_eight)


def test_few_texts_have_the_figures_that_need_no_more() -> None:
    one, texts = measure("One text alone."), [f"a text about matter{number} and nothing else" for number in range(20)]
    known, unknown = measure(*texts), measure_texts(texts, None)

    assert Diversity(count=0, **dict.fromkeys(FIGURES)) == measure()
    assert (1, None) == (one.count, one.vendi_of_eight)
    assert 8.0 == measure(*["…"] * SUBSET_SIZE).vendi_of_eight
    # Without an encoder words are measured and vectors are not.
    assert unknown.vendi_of_eight is None
    assert known.shared_openings_of_eight == unknown.shared_openings_of_eight


def list_seeds(model: Model, trait: str, *poles: str) -> list[str]:
    return [seed.text for seed in model.seeds if seed.trait == trait and seed.pole in poles]


def shuffle(text: str) -> str:
    words = text.split()
    return " ".join(random.Random(text).sample(words, len(words)))


@pytest.mark.parametrize(("model", "trait", "pole"), GROUPS)
def test_seeds_are_told_from_their_words_shuffled_and_from_a_story(model: Model, trait: str, pole: str) -> None:
    own, both = list_seeds(model, trait, pole), list_seeds(model, trait, *POLES)
    rest = [text for text in both if text not in own[::2]]
    alike = measure_seed_likeness((own[::2] * 2)[:8], own[1::2], rest, ENCODER)
    story = measure_seed_likeness(STORY, own, both, ENCODER)
    order, none = (measure_word_order(item, "en", ENCODER) for item in (own, [shuffle(text) for text in own]))

    assert order is not None
    assert none is not None
    assert order > max(MIN_WORD_ORDER, 2 * none)
    assert alike is not None
    assert story is not None
    assert story < MIN_SEED_LIKENESS < alike


def test_likeness_is_the_mean_cosine_with_the_three_nearest_seeds_over_that_of_the_seeds() -> None:
    """A seed of the pole has .5 with each of the others, a text .5 with two seeds and nothing with the rest."""
    own, other = [f"red {name}" for name in ("fox", "hen", "cat", "dog")], ["blue sea", "blue sky"]
    texts = [f"fox thing{number}" for number in range(4)] + [f"red thing{number}" for number in range(4)]
    likeness = measure_seed_likeness(texts, own, [*own, *other], WordVectors())

    # Of the first four texts one of three cosines is .5, of the others all three are.
    assert pytest.approx((0.5 / 3 + 0.5) / 2 / 0.5, abs=1e-3) == likeness


def test_few_texts_and_those_whose_order_says_nothing_have_no_figure() -> None:
    words = [f"word{number}" for number in range(8)]

    assert measure_word_order(STORY[:7], "en", ENCODER) is None
    assert measure_word_order(words, "en", WordVectors()) is None
    assert [None] * 3 == [measure_word_order(STORY, language, ENCODER) for language in ("hi", "ja", "ar")]
    assert measure_word_order(STORY, "de", ENCODER) is not None
    assert measure_seed_likeness(STORY[:7], STORY, STORY, WordVectors()) is None
    assert measure_seed_likeness(STORY, words[:3], words, WordVectors()) is None
    # No word is shared by two seeds.
    assert measure_seed_likeness(STORY, words[:4], words, WordVectors()) is None


def test_same_texts_have_the_same_shuffles_and_no_more_than_eight_are_looked_at() -> None:
    orderings = list_orderings(NUMBERED)

    assert 8 * 4 == len(orderings)
    assert orderings == list_orderings(NUMBERED)
    assert "one two three 0" == orderings[0]
    assert {"0", "one", "three", "two"} == set(orderings[1].split())
    assert len(set(orderings[:4])) > 2
