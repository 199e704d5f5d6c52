"""Measuring: an axis fit on a set's poles, tested on real texts, as a ratio to what 100 real texts a class reach."""

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from bench.teaches.real_texts import RealTexts

from engine.axis.separation import fit_axis, rank_auc
from engine.domain.definition import Pole
from engine.domain.model import POLES
from engine.system.worker_process import Executor
from engine.text.embedding import Embedder, Vectors, normalise_rows

Set = dict[Pole, list[str]]
FULL = 100
FEWER = 40


class WordLlama:
    """The embedding that nothing is chosen by (wordllama, 256 dimensions, offline)."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        return normalise_rows(_load_wordllama().embed(list(texts)))

    async def embed_ahead(self, texts: Sequence[str], run_in_worker: Executor) -> None:
        """Does nothing: the bench asks for each text once."""


class Yardstick:
    def __init__(self, texts: RealTexts, embedder: Embedder) -> None:
        self._texts = texts
        self._embedder = embedder
        tested = [(pole, text) for pole in POLES for text in texts.tested[pole]]
        self._vectors = embedder.embed([text for _, text in tested])
        self._positive = [pole == "positive" for pole, _ in tested]
        self.full_auc = float(np.mean([self._measure(self.draw_real(FULL, draw)) for draw in range(5)]))

    def draw_real(self, count: int, draw: int) -> Set:
        rng = random.Random(draw)
        return {pole: rng.sample(self._texts.training[pole], count) for pole in POLES}

    def rate(self, texts: Set) -> float:
        """``(AUC - .5) / (AUC of 100 real texts a class - .5)``: 1 is as good, 0 is chance, below it the wrong way."""
        return (self._measure(texts) - 0.5) / (self.full_auc - 0.5) if all(texts.values()) else 0.0

    def _measure(self, texts: Set) -> float:
        own = self._embedder.embed([text for pole in POLES for text in texts[pole]])
        axis = fit_axis(own, [index < len(texts["positive"]) for index in range(len(own))])
        return rank_auc(self._vectors @ axis, self._positive) or 0.0


@cache
def _load_wordllama() -> Any:
    import wordllama

    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
