"""Word order and likeness to the seeds tell texts from word salad and from texts of another kind."""

import itertools
import random

import numpy as np
import pytest
from fakes.word_vectors import WordVectors

from engine.definitions.loader import list_handles, load_model
from engine.domain.model import POLES, Model
from engine.quality.coherence import MIN_TEXTS, list_orderings, measure_seed_likeness, measure_word_order
from engine.settings import PROJECT_ROOT
from engine.text.embedding import SentenceEncoder

ENCODER = SentenceEncoder()
CATALOGUE = str(PROJECT_ROOT / "data" / "models")
MODELS = [load_model(CATALOGUE, handle) for handle in list_handles(CATALOGUE)]
GROUPS = {
    f"{model.handle}/{trait.key}/{pole}": (model, trait.key, pole)
    for model in MODELS
    for trait, pole in itertools.product(model.traits, POLES)
    if len(model.seeds_at(trait.key, pole)) >= MIN_TEXTS
}
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
GERMAN = (
    "Der Zug nach Hamburg fällt heute aus, bitte nehmen Sie den nächsten um halb zehn.",
    "Wir haben die Rechnung geprüft und den doppelten Betrag bereits zurück überwiesen.",
    "Die Bibliothek schließt am Freitag früher, weil die Heizung gewartet wird.",
    "Nach dem Regen standen die Felder unter Wasser und niemand konnte mehr pflügen.",
    "Meine Großmutter hat jeden Sonntag Kuchen gebacken und alle Nachbarn eingeladen.",
    "Bitte legen Sie den Schlüssel nach der Arbeit wieder in den Kasten am Eingang.",
    "Das neue Gerät lässt sich leicht bedienen, aber die Anleitung ist schwer zu verstehen.",
    "Im Winter fahren wir selten ans Meer, weil der Wind dort zu kalt ist.",
)


def list_seeds(model: Model, trait: str, *poles: str) -> list[str]:
    return [seed.text for seed in model.seeds if seed.trait == trait and seed.pole in poles]


def shuffle(text: str) -> str:
    words = text.split()
    return " ".join(random.Random(text).sample(words, len(words)))


def measure_order(*texts: str, language: str = "en") -> float:
    found = measure_word_order(texts, language, ENCODER)
    assert found is not None
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_authored_texts_of_a_pole_are_told_from_the_same_words_shuffled(group: str) -> None:
    model, trait, pole = GROUPS[group]
    texts = list_seeds(model, trait, pole)

    assert measure_order(*texts) > MIN_WORD_ORDER


def test_shuffled_words_of_all_authored_texts_say_nothing() -> None:
    texts = [shuffle(text) for group in GROUPS.values() for text in list_seeds(*group)]
    found = [measure_order(*texts[start : start + 20]) for start in range(0, len(texts) - 20, 20)]

    assert np.quantile(found, 0.9) < MIN_WORD_ORDER


def test_order_is_read_in_another_language() -> None:
    assert measure_order(*GERMAN, language="de") > 2 * MIN_WORD_ORDER
    assert measure_order(*map(shuffle, GERMAN), language="de") < MIN_WORD_ORDER


@pytest.mark.parametrize("language", ["hi", "ja", "ar"])
def test_language_whose_order_the_encoder_does_not_read_has_no_figure(language: str) -> None:
    assert measure_word_order(GERMAN, language, ENCODER) is None


def test_few_texts_and_texts_of_one_word_have_no_figure() -> None:
    assert measure_word_order(GERMAN[:7], "de", ENCODER) is None
    assert measure_word_order([f"word{number}" for number in range(8)], "en", WordVectors()) is None
    assert measure_seed_likeness(STORY[:7], STORY, STORY, ENCODER) is None
    assert measure_seed_likeness(STORY, GERMAN[:3], GERMAN, ENCODER) is None


@pytest.mark.parametrize("group", GROUPS)
def test_texts_of_another_kind_are_far_less_like_the_seeds_than_these_are(group: str) -> None:
    model, trait, pole = GROUPS[group]
    likeness = measure_seed_likeness(STORY, list_seeds(model, trait, pole), list_seeds(model, trait, *POLES), ENCODER)

    assert likeness is not None
    assert likeness < MIN_SEED_LIKENESS


@pytest.mark.parametrize("group", GROUPS)
def test_one_half_of_the_seeds_is_of_the_kind_of_the_other(group: str) -> None:
    model, trait, pole = GROUPS[group]
    own, both = list_seeds(model, trait, pole), list_seeds(model, trait, *POLES)
    texts = own[::2]
    rest = [text for text in both if text not in texts]
    likeness = measure_seed_likeness((texts * 2)[:8], own[1::2], rest, ENCODER)

    assert likeness is not None
    assert likeness > MIN_SEED_LIKENESS


def test_same_texts_have_the_same_shuffles_and_no_more_than_24_are_looked_at() -> None:
    orderings = list_orderings([f"one two three {number}" for number in range(50)])

    assert 24 * 6 == len(orderings)
    assert orderings == list_orderings([f"one two three {number}" for number in range(50)])
    assert "one two three 0" == orderings[0]
    assert {"0", "one", "three", "two"} == set(orderings[1].split())
