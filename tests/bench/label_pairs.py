"""Pairs of labels with texts that were written by hand, and what the axes between them are worth on those texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from engine.domain.model import POLES, Model, Pole, Seed, Trait
from engine.quality.reference_axis import Basis, fit_reference_axis
from engine.quality.separation import rank_auc
from engine.text.embedding import SentenceEncoder

FOLDER = Path(__file__).parent
# The rules were made while looking at the first file; the second one was written after them.
FILES = ("label_pairs.yaml", "label_pairs_held_out.yaml")
# How many paraphrases and seeds a pole are known beside the labels.
KNOWN = ((0, 0), (1, 0), (2, 0), (0, 2), (1, 2), (0, 4))
ENCODER = SentenceEncoder()


@dataclass(frozen=True, slots=True)
class LabelPair:
    """Two labels of a trait, with its paraphrases and eight texts, by pole."""

    file: str
    language: str
    name: str
    description: str
    labels: tuple[str, str]
    paraphrases: dict[Pole, tuple[str, ...]]
    texts: dict[Pole, tuple[str, ...]]

    def make_trait(self, paraphrases: int) -> Trait:
        """The trait as an author may define it, with so many paraphrases a pole."""
        positive, negative = (self.paraphrases[pole][:paraphrases] for pole in POLES)
        return Trait("trait", self.name, "spectrum", self.description, *self.labels, "mean", positive, negative)


@dataclass(frozen=True, slots=True)
class Worth:
    """What the axis is fit to, and its AUC on the texts that it is not fit to, None where no axis is used."""

    basis: Basis
    after: float | None


@cache
def list_label_pairs(file: str) -> tuple[LabelPair, ...]:
    """Lists the pairs of a file."""
    return tuple(_read_pairs(file))


def measure_worth(pair: LabelPair, paraphrases: int, seeds: int) -> Worth:
    """Measures a pair's axes with so much known beside its labels: the first texts of each pole are the seeds."""
    trait = pair.make_trait(paraphrases)
    known = tuple(
        Seed(trait.key, text, float(pole == "positive")) for pole in POLES for text in pair.texts[pole][:seeds]
    )
    unseen = {pole: ENCODER.embed(pair.texts[pole][seeds:]) for pole in POLES}
    axis = fit_reference_axis(Model("u22a8.bench", (trait,), seeds=known), trait, ENCODER)
    if axis.basis == "nothing":
        return Worth(axis.basis, None)
    scores = np.concatenate([unseen[pole] for pole in POLES]) @ axis.vector
    auc = rank_auc(np.round(scores, 6), [pole == "positive" for pole in POLES for _ in unseen[pole]])
    assert auc is not None
    return Worth(axis.basis, auc)


def _read_pairs(file: str) -> Iterator[LabelPair]:
    for entry in yaml.safe_load((FOLDER / file).read_text(encoding="utf-8")):
        for labels in entry["labels"]:
            yield LabelPair(
                file=file,
                language=entry["language"],
                name=entry["name"],
                description=entry["description"],
                labels=tuple(labels),
                paraphrases={pole: tuple(entry[f"{pole}_paraphrase"]) for pole in POLES},
                texts={pole: tuple(entry[pole]) for pole in POLES},
            )
