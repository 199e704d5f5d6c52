"""What gives a pole away most over the catalogue's traits, beside what chance alone would: a table.

The embedded model writes, some minutes for all traits; its replies are kept, so that another choice costs no call.
``SYNTH=embedded/<name>`` names another model than the one of the lock file, ``EFFORT=high`` another effort.
"""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean

import numpy as np
import pytest
from platformdirs import user_cache_path

from engine.definitions.effort import load_level
from engine.definitions.loader import load_model
from engine.domain.progress import LoggedProgress
from engine.domain.samples import Exemplar
from engine.gateway.budget import RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.llm.client import LitellmClient
from engine.llm.embedded_model import serve_embedded
from engine.llm.request import Endpoint
from engine.planning.repeated_seeds import settle_seeds
from engine.quality.shortcuts import DEFINED_BY_WORDS
from engine.run.job import Job, check_effort
from engine.run.pipeline import begin_rounds, walk_rounds
from engine.screening.voting_judge import VotingJudge
from engine.selection.rounds import Rounds
from engine.settings import PROJECT_ROOT, EmbeddedPlace, RepliesPlace
from engine.text.embedding import SentenceEncoder, Vectors
from engine.text.words import count_words, split_words

MODELS = PROJECT_ROOT / "data" / "models"
CACHE = PROJECT_ROOT / "data" / "cache" / "shortcuts"
SYNTH = os.environ.get("SYNTH", "embedded")
EFFORT = check_effort(os.environ.get("EFFORT", "low")) or "low"
FLIPS = 400

Pair = tuple[Exemplar, Exemplar]


@dataclass(frozen=True, slots=True)
class Giveaway:
    """The feature that tells the poles of some pairs apart best, and its AUC, folded to [.5, 1].

    ``chance`` is the mean AUC of the best feature, whichever it is, where each pair's texts are given to its two poles
    by a coin, and ``p`` how often it is then no lower.
    """

    what: str
    auc: float
    chance: float
    p: float


@pytest.mark.timeout(7200)
def test_best_shortcut_over_the_catalogue() -> None:
    """Of the chosen pairs of every trait: the word, the opening or the length that tells the poles apart best."""
    print(f"\n{SYNTH}, effort {EFFORT}\n| trait | pairs | best shortcut | AUC | by chance | p | probe |")
    print("|---" * 7 + "|")
    found: list[Giveaway] = []
    probes: list[float] = []
    place = EmbeddedPlace(user_cache_path("exemplars") / "models")
    with serve_embedded(SYNTH, place) as endpoint:
        for folder in sorted(MODELS.iterdir()):
            rounds = asyncio.run(walk(folder.name, endpoint))
            aucs = {probe.trait: probe.auc for probe in rounds.review.probes}
            for trait in rounds.plan.model.traits:
                pairs = list(pair_up([item for item in rounds.choice.chosen if item.trait == trait.key]))
                if len(pairs) < rounds.plan.wanted / 2:
                    continue
                giveaway = find_giveaway(pairs, trait.type not in DEFINED_BY_WORDS)
                found.append(giveaway)
                probes.append(aucs[trait.key] or 0.5)
                print(
                    f"| {folder.name}, {trait.key} | {len(pairs)} | {giveaway.what} | {giveaway.auc:.3f} | "
                    f"{giveaway.chance:.3f} | {giveaway.p:.2f} | {probes[-1]:.3f} |"
                )
    print(
        f"| mean of {len(found)} | | | {mean(item.auc for item in found):.3f} | "
        f"{mean(item.chance for item in found):.3f} | {mean(item.p for item in found):.2f} | {mean(probes):.3f} |"
    )

    assert found


async def walk(handle: str, endpoint: Endpoint) -> Rounds:
    """A run's rounds, with nothing attached."""
    level = load_level(str(PROJECT_ROOT / "data" / "effort.yaml"), EFFORT).ask_one_text()
    job = Job(settle_seeds(load_model(str(MODELS), handle)), "from_traits", level)
    gateway = ModelGateway(
        LitellmClient(endpoint, 600), RepliesPlace(str(CACHE)), LoggedProgress(), RunBudget(endpoint.slots or 8)
    )
    rounds = await begin_rounds(job, 0, gateway, SentenceEncoder())
    async with gateway.keeping(rounds.plan.plan_id, handle):
        await walk_rounds(rounds, gateway, VotingJudge(None, 0), LoggedProgress())
    return rounds


def pair_up(chosen: list[Exemplar]) -> Iterator[Pair]:
    """The pairs of one subject among chosen exemplars, the positive text first."""
    negatives = {item.pair_id: item for item in chosen if item.pole == "negative"}
    for item in chosen:
        if item.pole == "positive" and item.pair_id in negatives:
            yield item, negatives[item.pair_id]


def find_giveaway(pairs: list[Pair], use_words: bool) -> Giveaway:
    """Finds the feature that tells the poles apart best; of a trait that is defined by its words only the length."""
    names, rows = list_differences(pairs)
    names, rows = (names, rows) if use_words else ([], rows[:, :0])
    lengths = np.array([[float(count_words(item.text or "")) for item in pair] for pair in pairs])
    own = measure(rows, lengths, np.ones((1, len(pairs))))[0]
    flips = np.sign(np.random.default_rng(0).normal(size=(FLIPS, len(pairs))))
    best = measure(rows, lengths, flips).max(axis=1)
    index = int(own.argmax())
    what = ("the length", *names)[index]
    return Giveaway(what, float(own[index]), float(best.mean()), float((best >= own[index] - 1e-9).mean()))


def list_differences(pairs: list[Pair]) -> tuple[list[str], Vectors]:
    """Lists words and openings, and for each pair which of its two texts has them: 1, -1, or 0 for both or neither."""
    texts = [[list_features(item.text or "") for item in pair] for pair in pairs]
    names = sorted(set().union(*(features for pair in texts for features in pair)))
    rows = np.array([[(name in positive) - (name in negative) for name in names] for positive, negative in texts])
    return names, rows.astype(np.float64)


def list_features(text: str) -> set[str]:
    """Its words, and the word that it opens with."""
    words = split_words(text)
    return {*(f"‘{word}’" for word in words), *(f"‘{word} …’" for word in words[:1])}


def measure(rows: Vectors, lengths: Vectors, flips: Vectors) -> Vectors:
    """Measures the AUC of the length and of each word and opening, folded to [.5, 1], one row for each flip."""
    words = np.abs(flips @ rows) / (2 * len(rows))
    ones = [np.where(flip > 0, lengths[:, 0], lengths[:, 1]) for flip in flips]
    others = [np.where(flip > 0, lengths[:, 1], lengths[:, 0]) for flip in flips]
    lengths_alone = [abs(np.sign(one[:, None] - other).mean()) / 2 for one, other in zip(ones, others, strict=True)]
    return 0.5 + np.column_stack([lengths_alone, words])
