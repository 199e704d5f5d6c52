"""What judging by an axis, the probe, the search for shortcuts and the choice cost, and what the probe finds."""

import importlib.util
import random
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import pytest
from bench.test_million import write_text
from fakes.builders import make_exemplar, make_level, make_model, make_seeds, make_test_plan

from engine.domain.model import POLES
from engine.domain.samples import Exemplar
from engine.quality.diversity import measure_texts
from engine.quality.probe import probe_trait
from engine.quality.shortcuts import find_shortcuts
from engine.selection.choice import choose_exemplars
from engine.selection.review import make_choice_context, review_choice
from engine.text.embedding import SentenceEncoder

Value = TypeVar("Value")


@pytest.mark.parametrize("candidates", [1_000, 10_000])
def test_cost_of_choosing(candidates: int) -> None:
    """Half of the candidates are wanted, one trait, pairs of two drafts a pole."""
    model = make_model(seeds=make_seeds())
    plan = make_test_plan(model, make_level(candidates // 8))
    made = [
        make_exemplar(write_text(4 * index + 2 * draw + side), pole, index, draw=draw)
        for index in range(candidates // 4)
        for draw in range(2)
        for side, pole in enumerate(POLES)
    ]
    embedder = SentenceEncoder()
    embedder.embed([made[0].text or ""])
    print(f"\n{candidates:,} candidates")
    vectors = measure("embed", lambda: embedder.embed([item.text or "" for item in made]))
    view = measure("place by the axis", lambda: make_choice_context(plan, made, {}, embedder, strict=True))
    choice = measure("choose", lambda: choose_exemplars(plan, made, view))
    probe = measure("probe the candidates", lambda: probe_trait("clarity", made, embedder))
    measure("shortcuts", lambda: find_shortcuts("clarity", "spectrum", made, probe.auc or 0.5, embedder))
    measure("review the choice", lambda: review_choice(plan, choice, embedder))
    measure("variety", lambda: measure_texts([item.text or "" for item in made], embedder))

    assert candidates == len(vectors) == len(view.pole_scores)


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
            made: list[Exemplar] = []
            for index, (pole, text) in enumerate(texts):
                other = POLES[1 - POLES.index(pole)]
                made.append(make_exemplar(text, other if index in flipped else pole, index))
            named = set(probe_trait("clarity", made, SentenceEncoder()).wrong_side)
            caught += sum(made[index].key in named for index in flipped) / len(flipped) / 5
            lost += sum(item.key in named for n, item in enumerate(made) if n not in flipped) / (0.9 * len(made)) / 5
        print(f"\n{handle}, {count} a pole: {caught:.0%} of the flipped ones named, {lost:.0%} of the others")


def measure(name: str, work: Callable[[], Value]) -> Value:
    """Prints the seconds of a step and the process's peak memory after it."""
    begun = time.perf_counter()
    value = work()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"  {name:<22}{time.perf_counter() - begun:>8.2f} s {peak_mb:>7,} MB peak")
    return value
