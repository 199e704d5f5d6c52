"""What do decisions bring? After a first set that is reviewed a second one that learns from it, and one that does not.

Below ``tests/`` ``python -m bench.teaches.reviewed`` (``--help`` has the options). In a person's place decides an axis
that is fit on all real training texts: a text on its own side is accepted, one between the poles refused, and one on
the other side marked as the other pole. At ``medium`` that are twenty decisions a pole.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from bench.teaches.arms import Set, take_chosen
from bench.teaches.measure import make_yardsticks
from bench.teaches.real_texts import RealTexts, load_real_texts
from bench.teaches.run import HERE, MODELS, walk

from engine.definitions.loader import load_model
from engine.domain.model import POLES, Attached, Model, Pole, Seed
from engine.domain.progress import LoggedProgress
from engine.domain.samples import Exemplar
from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.llm.client import LitellmClient
from engine.llm.embedded_model import serve_embedded
from engine.quality.separation import fit_axis
from engine.run.job import check_effort
from engine.settings import PROJECT_ROOT, RepliesPlace, read_settings
from engine.text.embedding import SentenceEncoder

Said = Literal["accept", "refuse", "other_pole"]
# So much of the way from the midpoint to a pole's mean, a text lies between the poles.
BETWEEN = 0.25


class Reviewer:
    """Decides as a person would who knows the real texts."""

    def __init__(self, texts: RealTexts, embedder: SentenceEncoder) -> None:
        self._embedder = embedder
        vectors = {pole: embedder.embed(texts.training[pole]) for pole in POLES}
        positive = [pole == "positive" for pole in POLES for _ in vectors[pole]]
        self._axis = fit_axis(np.concatenate([vectors[pole] for pole in POLES]), positive)
        means = {pole: float((vectors[pole] @ self._axis).mean()) for pole in POLES}
        self._middle = (means["positive"] + means["negative"]) / 2
        self._margin = BETWEEN * (means["positive"] - self._middle)

    def decide(self, text: str, pole: Pole) -> Said:
        """What is said of a text that was asked for at a pole."""
        place = float(self._embedder.embed([text])[0] @ self._axis) - self._middle
        own = place if pole == "positive" else -place
        return "accept" if own > self._margin else "refuse" if own > -self._margin else "other_pole"


def main() -> None:
    """Prints a line for each model and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=lambda text: [int(part) for part in text.split(",")], default=[0])
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS))
    parser.add_argument("--effort", type=check_effort, default="medium")
    parser.add_argument("--synth", default="embedded", help="the embedded model that writes")
    parser.add_argument("--bare", action="store_true", help="without the seeds")
    parser.add_argument("--cache", default=str(PROJECT_ROOT / "data" / "cache" / "teaches"))
    asked = parser.parse_args()
    for draw in asked.draws:
        for handle in asked.models:
            asyncio.run(compare(handle, draw, asked))


async def compare(handle: str, draw: int, asked: argparse.Namespace) -> None:
    """Both second sets of one model and draw, each after the same first one."""
    model = load_model(str(HERE / "models"), handle)
    model = replace(model, seeds=()) if asked.bare else model
    embedder, texts = SentenceEncoder(), load_real_texts(handle)
    yardsticks, reviewer = make_yardsticks(texts), Reviewer(texts, embedder)

    def tell(arm: str, made: Set) -> None:
        rates = ", ".join(f"{name} {yardstick.rate(made):.3f}" for name, yardstick in yardsticks.items())
        print(f"{handle} {draw}{' bare' if asked.bare else ''}, {arm} ({len(made['positive'])}): {rates}", flush=True)

    with serve_embedded(asked.synth, read_settings().embedded_place) as endpoint:
        replies = RepliesPlace(asked.cache)
        gateway = ModelGateway(LitellmClient(endpoint, 600), replies, LoggedProgress(), RunBudget(endpoint.slots or 8))
        async with gateway.keeping(f"{handle}-{draw}"):
            chosen = (await walk(model, asked.effort, draw, gateway, embedder)).choice.chosen
            first = take_chosen(chosen)
            tell("first", first)
            said = {item.key: reviewer.decide(item.text or "", item.pole) for item in chosen}
            print(f"  {dict(Counter(said.values()))}", flush=True)
            decided = take_chosen([move(item, said) for item in chosen if said[item.key] != "refuse"])
            tell("first, decided", decided)
            for arm, before, later in (
                ("untaught", first, attach(model, chosen)),
                ("taught", decided, teach(model, chosen, said)),
            ):
                made = take_chosen((await walk(later, asked.effort, draw, gateway, embedder)).choice.chosen)
                tell(f"second, {arm}", made)
                tell(f"both, {arm}", {pole: [*before[pole], *made[pole]] for pole in POLES})


def move(item: Exemplar, said: dict[str, Said]) -> Exemplar:
    """The exemplar at the pole that the reviewer gave it."""
    other: Pole = "negative" if item.pole == "positive" else "positive"
    return replace(item, pole=other) if said[item.key] == "other_pole" else item


def attach(model: Model, chosen: Sequence[Exemplar]) -> Model:
    """The model with a set attached as it is."""
    return replace(
        model,
        attached=tuple(
            Attached(item.trait, item.text or "", float(item.pole == "positive"), item.scenario.subject)
            for item in chosen
        ),
        attached_digests=("first",),
    )


def teach(model: Model, chosen: Sequence[Exemplar], said: dict[str, Said]) -> Model:
    """The model with what was accepted attached, and with all that was decided."""
    kept = [move(item, said) for item in chosen if said[item.key] != "refuse"]
    return replace(
        attach(model, kept),
        reviewed=tuple(Seed(item.trait, item.text or "", float(item.pole == "positive")) for item in kept),
        refused=tuple(sorted(item.text or "" for item in chosen if said[item.key] == "refuse")),
    )


if __name__ == "__main__":
    main()
