"""What do labels teach that ``exemplars suggest`` asks for, beside as many for texts drawn blindly? Real texts alone.

A pool of labelled texts is hidden as texts without labels, ``DRAWS`` different ones a model; a third of each is at the
rarer pole. What is suggested gets its true label, 20 at a time, and the next are suggested with those as samples.
``python -m bench.teaches.suggested`` below ``tests/`` prints the table, in minutes.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from bench.teaches.measure import Set, WordLlama, Yardstick
from bench.teaches.real_texts import READERS

from engine.authoring.suggestions import suggest_texts
from engine.definitions.loader import load_model
from engine.domain.definition import Pole
from engine.domain.model import POLES, Model, Seed
from engine.domain.unlabelled_texts import OwnTexts
from engine.text.embedding import SentenceEncoder
from engine.text.near_duplicates import hash_form

HERE = Path(__file__).parent
DRAWS, POOL, STEP, STEPS = 5, (200, 400), 20, 4
Labels = dict[str, Pole]


def main() -> None:
    differences: dict[int, list[float]] = defaultdict(list)
    encoder = SentenceEncoder()
    print("| model | seeds | labels | suggested | drawn blindly | difference |\n|---|--:|--:|--:|--:|--:|")
    for handle, read in READERS.items():
        real, model = read(), load_model(str(HERE / "models"), handle)
        yardstick = Yardstick(real, WordLlama())
        for seeds in (0, 6):
            found: dict[tuple[int, bool], list[float]] = defaultdict(list)
            for draw in range(DRAWS):
                rng = random.Random(draw)
                pool: Labels = {
                    text: pole
                    for pole, count in zip(POLES, POOL, strict=True)
                    for text in rng.sample(real.training[pole], min(count, len(real.training[pole])))
                }
                start = tuple(seed for pole in POLES for seed in model.seeds_at(model.traits[0].key, pole)[:seeds])
                for is_suggested in (True, False):
                    for count, labelled in walk(replace(model, seeds=start), pool, rng, is_suggested, encoder):
                        found[count, is_suggested].append(yardstick.rate(labelled))
            for count in range(STEP, STEP * STEPS + 1, STEP):
                pairs = list(zip(found[count, True], found[count, False], strict=True))
                differences[count] += (gains := [one - other for one, other in pairs])
                cells = [f"{mean(its):.2f} ± {stdev(its):.2f}" for its in (*zip(*pairs, strict=True), gains)]
                print(f"| {handle} | {seeds} | {count} | {' | '.join(cells)} |", flush=True)
    for count, its in differences.items():
        print(f"{count} labels: {mean(its):+.3f} ± {stdev(its) / len(its) ** 0.5:.3f} (standard error)")


def walk(
    model: Model, pool: Labels, rng: random.Random, is_suggested: bool, encoder: SentenceEncoder
) -> Iterator[tuple[int, Set]]:
    """Yields, after each step, how many labels were given, and all labelled texts by pole."""
    [trait] = model.traits
    texts = sorted(pool, key=hash_form)
    blind = rng.sample(texts, STEP * STEPS)
    given = list(model.seeds)
    for step in range(STEPS):
        if is_suggested:
            frame = suggest_texts(replace(model, seeds=tuple(given), texts=OwnTexts((), tuple(texts))), STEP, encoder)
            chosen = list(frame["text"])
        else:
            chosen = blind[step * STEP : (step + 1) * STEP]
        given += [Seed(trait.key, text, float(pool[text] == "positive"), "pool:1") for text in chosen]
        yield (step + 1) * STEP, {pole: [seed.text for seed in given if seed.pole == pole] for pole in POLES}


if __name__ == "__main__":
    main()
