"""What twice as many real texts were foretold to bring, beside what they brought; and what "Will it grade?" costs."""

import importlib.util
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from bench.test_choosing import measure
from bench.test_throughput import write_text
from fakes.builders import make_exemplar

from engine.domain.model import POLES, Pole
from engine.domain.samples import Exemplar
from engine.quality.learning_curve import LearningCurve, draw_curve
from engine.quality.outlook import Outlook
from engine.quality.probe import Probe, list_groups, probe_trait
from engine.quality.real_texts import Labelled, hold_against
from engine.report.separation_table import Separation, SeparationRow, list_separations
from engine.report.wording import TraitWords
from engine.text.embedding import Embedder, SentenceEncoder

DRAWS = 40
# Enough a pole for a set and one of twice as many, at most 80 and 160, in ever other draws.
POOL = 400
WORDS = TraitWords("clarity", "Clarity", {"positive": "Clear", "negative": "Obscure"})


@dataclass(frozen=True)
class Outcome:
    """What was foretold of a set, what a new set of twice as many shows in its place, and what it truly brings."""

    outlook: Outlook
    curve: LearningCurve
    made: float
    true_gain: float

    @property
    def off(self) -> float:
        """How far off the prediction was, in its errors."""
        return abs(self.made - self.curve.gain) / self.curve.change_error


@pytest.mark.parametrize("handle", ["bench.health-posts", "bench.register", "bench.campaign-posts"])
def test_what_twice_as_many_texts_bring(handle: str) -> None:
    """Human-labelled texts; the true gain is that on the yardstick's tested texts, which no set has."""
    if importlib.util.find_spec("orangecontrib") is None:
        pytest.skip("needs requirements-teaches.lock")
    from bench.teaches.real_texts import load_real_texts

    real, encoder = load_real_texts(handle), SentenceEncoder()
    pool = {pole: random.Random(0).sample(real.training[pole], POOL) for pole in POLES}
    tested = label([(text, pole) for pole in POLES for text in real.tested[pole]], encoder)
    print(f"\n{handle}\n  texts   AUC  foretold        true    made            within  twice  called enough")
    for texts in (8, 20, 40, 80):
        outcomes = [draw_outcome(texts, random.Random(draw), pool, tested, encoder) for draw in range(DRAWS)]
        print(f"  {texts:>5} {describe(outcomes)}")
        assert 0.8 <= np.mean([item.off <= 2 for item in outcomes])


def test_cost_of_will_it_grade() -> None:
    """Forty texts a pole, from the texts to the words and the picture."""
    made = make_set([[write_text(40 * side + index) for index in range(40)] for side in range(2)])
    encoder = SentenceEncoder()
    encoder.embed([write_text(1_000)])
    print("\n40 texts a pole")
    measure("embed", lambda: encoder.embed([item.text or "" for item in made]))

    def answer() -> SeparationRow:
        probe = probe_trait("clarity", made, encoder)
        found = Separation("clarity", probe.auc, outlook=look(probe, fit_curve(made, encoder)))
        return list_separations([found], [WORDS])[0]

    rows = measure("the rest, 100 times", lambda: [answer() for _ in range(100)])
    assert rows[0].clusters is not None


def describe(outcomes: Sequence[Outcome]) -> str:
    """The means of a line of the table, and the shares of draws."""
    figures = np.array(
        [(o.outlook.auc, o.curve.gain, o.curve.gain_error, o.true_gain, o.made, o.curve.change_error) for o in outcomes]
    )
    auc, gain, error, true, made, change = figures.mean(axis=0)
    enough = np.mean([item.outlook.advice == "enough" for item in outcomes])
    within, twice = (np.mean([item.off <= errors for item in outcomes]) for errors in (1, 2))
    return (
        f"{auc:.3f}  {gain:+.3f} ± {error:.3f}  {true:+.3f}  {made:+.3f} ± {change:.3f}  "
        f"{within:>6.0%} {twice:>6.0%} {enough:>7.0%}"
    )


def draw_outcome(
    texts: int, rng: random.Random, pool: Mapping[Pole, list[str]], tested: Labelled, encoder: SentenceEncoder
) -> Outcome:
    """Draws a set, and a new one of twice as many texts that has none of its texts."""
    drawn = [rng.sample(pool[pole], 3 * texts) for pole in POLES]
    few, many = (make_set([own[part] for own in drawn]) for part in (slice(texts), slice(texts, None)))
    before, after = (probe_trait("clarity", made, encoder) for made in (few, many))
    curve = fit_curve(few, encoder)
    reached = [hold(made, tested, encoder) for made in (few, many)]
    return Outcome(look(before, curve), curve, (after.auc or 0) - (before.auc or 0), reached[1] - reached[0])


def make_set(texts: Sequence[Sequence[str]]) -> list[Exemplar]:
    """Makes pairs of texts, given by pole."""
    pairs = enumerate(zip(*texts, strict=True))
    return [make_exemplar(text, pole, index) for index, pair in pairs for pole, text in zip(POLES, pair, strict=True)]


def fit_curve(made: Sequence[Exemplar], embedder: Embedder) -> LearningCurve:
    """The learning curve of a set, as a run draws it."""
    labelled = label([(item.text or "", item.pole) for item in made], embedder)
    curve = draw_curve(labelled.vectors, labelled.positive, list_groups(made))
    assert curve is not None
    return curve


def look(probe: Probe, curve: LearningCurve) -> Outlook:
    """What a run would know of a set."""
    return Outlook(probe.auc, probe.breaks, curve, probe.scores)


def hold(made: Sequence[Exemplar], tested: Labelled, embedder: Embedder) -> float:
    """The AUC that a set reaches on real texts."""
    held = hold_against(label([(item.text or "", item.pole) for item in made], embedder), tested)
    assert held is not None
    return held.reach.auc


def label(texts: Sequence[tuple[str, Pole]], embedder: Embedder) -> Labelled:
    """Embeds texts, each given with its pole."""
    return Labelled(embedder.embed([text for text, _ in texts]), [pole == "positive" for _, pole in texts])
