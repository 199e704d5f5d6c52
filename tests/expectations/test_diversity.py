"""The floor of diversity lets human texts pass and warns of sets that have collapsed."""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest
from fakes.builders import NEGATIVE_SEEDS, POSITIVE_SEEDS

from engine.choosing.diversity import SUBSET_SIZE, measure_texts
from engine.definitions.loader import list_handles, load_model
from engine.settings import PROJECT_ROOT
from engine.text.embedding import SentenceEncoder
from expectations.classes import ExpectDiversityToBeAtLeast, ExpectTextsToBeCoherent
from expectations.gate import FOLDER

RUN = {item["type"]: item["kwargs"] for item in json.loads((FOLDER / "run.json").read_text())["expectations"]}
LIMITS = RUN["expect_diversity_to_be_at_least"]
ENCODER = SentenceEncoder()
CATALOGUE = str(PROJECT_ROOT / "data" / "models")
NOUNS = (
    "kettle lamp bicycle printer folder violin ladder scanner window garden ticket bridge server invoice carpet engine"
)


@pytest.fixture(scope="module")
def human() -> list[str]:
    """The authored texts of the catalogue, of many subjects and both poles: what a varied set is like."""
    models = [load_model(CATALOGUE, handle) for handle in list_handles(CATALOGUE)]
    return [seed.text for model in models for seed in model.seeds if seed.pole]


def find_faults(texts: Sequence[str], **figures: Any) -> list[str]:
    frame = pd.DataFrame({"trait": "clarity", "pole": "positive", "text": list(texts)})
    found = asdict(measure_texts(texts, ENCODER)) | figures
    limits = {**LIMITS, "figures": {"clarity/positive": found}}
    return ExpectDiversityToBeAtLeast(**limits)._find_faults(frame, **limits)[1]


def draw(texts: Sequence[str], count: int) -> list[str]:
    return random.Random(count).sample(list(texts), count)


@pytest.mark.parametrize("count", [SUBSET_SIZE, 160])
def test_human_texts_pass_at_every_effort(human: list[str], count: int) -> None:
    assert [] == find_faults(draw(human, count))


@pytest.mark.parametrize("count", [SUBSET_SIZE, 16])
def test_one_template_is_told_by_meaning(count: int) -> None:
    texts = [
        f"{noun.title()} repairs should be checked each day so that nobody is surprised later."
        for noun in NOUNS.split()
    ]

    assert "clarity/positive: eight texts count as 1." in find_faults(draw(texts, count))[0]


def test_half_of_the_openings_is_too_much_in_many_texts_and_not_in_few(human: list[str]) -> None:
    texts = [f"I think that {text}" if number % 2 else text for number, text in enumerate(draw(human, 40))]

    assert [] == find_faults(texts[:SUBSET_SIZE])
    assert ["clarity/positive: 50% of eight texts open like another"] == find_faults(texts)


def test_too_few_texts_for_a_figure_are_let_be_and_figures_of_other_texts_are_a_fault() -> None:
    texts = [*POSITIVE_SEEDS, *NEGATIVE_SEEDS]

    assert [] == find_faults(["The same.", "The same.", "The same."])
    assert ["clarity/positive: the figures are of 5 texts, and there are 6"] == find_faults(texts, count=5)


@pytest.mark.parametrize(
    ("figures", "faults"),
    [
        ({"word_order": 0.1, "seed_likeness": 0.55}, []),
        ({"word_order": None, "seed_likeness": None}, []),
        ({"word_order": 0.04}, ["clarity/positive: the order of the words says next to nothing (0.04)"]),
        ({"seed_likeness": 0.41}, ["clarity/positive: 41% as like the seeds as these are to each other"]),
    ],
)
def test_word_salad_and_another_kind_of_text_are_faults(figures: dict[str, float | None], faults: list[str]) -> None:
    frame = pd.DataFrame({"trait": "clarity", "pole": "positive", "text": ["A text."] * 8})
    own = {"clarity/positive": figures, "clarity/negative": {"word_order": 0.0}}
    limits = {**RUN["expect_texts_to_be_coherent"], "figures": own}

    assert faults == ExpectTextsToBeCoherent(**limits)._find_faults(frame, **limits)[1]
