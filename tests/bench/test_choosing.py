"""What the probe finds of labels that are wrong."""

import importlib.util
import random

import pytest
from fakes.builders import make_exemplar

from engine.domain.model import POLES
from engine.quality.probe import probe_trait
from engine.text.embedding import SentenceEncoder


@pytest.mark.parametrize("count", [20, 40, 80])
def test_probe_finds_flipped_labels(count: int) -> None:
    """Human-labelled texts, a tenth of the labels flipped, as they would come from a generator that errs."""
    if importlib.util.find_spec("orangecontrib") is None:
        pytest.skip("needs requirements-teaches.lock")
    from bench.teaches.real_texts import load_real_texts

    for handle in ("bench.health-posts", "bench.register", "bench.campaign-posts"):
        real = load_real_texts(handle).training
        caught, lost = 0.0, 0.0
        for draw in range(5):
            rng = random.Random(draw)
            texts = [(pole, text) for pole in POLES for text in rng.sample(real[pole], count)]
            flipped = {*rng.sample(range(count), count // 10), *rng.sample(range(count, 2 * count), count // 10)}
            made = [
                make_exemplar(text, POLES[(POLES.index(pole) + (index in flipped)) % 2], index)
                for index, (pole, text) in enumerate(texts)
            ]
            named = set(probe_trait("clarity", made, SentenceEncoder()).wrong_side)
            caught += sum(made[index].key in named for index in flipped) / len(flipped) / 5
            lost += sum(item.key in named for n, item in enumerate(made) if n not in flipped) / (0.9 * len(made)) / 5
        print(f"\n{handle}, {count} a pole: {caught:.0%} of the flipped ones named, {lost:.0%} of the others")
