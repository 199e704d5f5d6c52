"""The probe names what lies on the other pole's side, and nothing where it cannot tell."""

from dataclasses import replace

import pytest
from fakes.builders import make_exemplar
from fakes.word_vectors import WordVectors

from engine.choosing.probe import MIN_TEXTS, Probe, find_inseparable, list_groups, probe_trait
from engine.domain.model import POLES
from engine.domain.samples import Exemplar

WORDS = {"positive": "plain short words", "negative": "long stilted clauses"}


def make_set(count: int, flipped: tuple[int, ...] = ()) -> list[Exemplar]:
    """Pairs whose texts share the words of their pole; those of the flipped pairs say the other pole's."""
    made = []
    for index in range(count):
        for pole, other in zip(POLES, POLES[::-1], strict=True):
            words = WORDS[other if index in flipped else pole]
            made.append(make_exemplar(f"{words} about matter{index}", pole, index))
    return made


def test_flipped_pair_lies_on_the_wrong_side() -> None:
    made = make_set(20, flipped=(4, 11))
    probe = probe_trait("clarity", made, WordVectors())

    assert {item.key for item in made if item.pair_id in ("clarity/00004", "clarity/00011")} == set(probe.wrong_side)
    assert probe.auc is not None
    assert 0.7 < probe.auc < 1.0


def test_probe_that_cannot_tell_the_poles_apart_names_nobody() -> None:
    made = [make_exemplar(f"the same words about matter{index}", pole, index) for index in range(10) for pole in POLES]
    probe = probe_trait("clarity", made, WordVectors())

    assert probe.auc is not None
    assert probe.auc < 0.7
    assert () == probe.wrong_side


@pytest.mark.parametrize(
    ("texts", "placed", "found"),
    [
        (40, "apart", False),
        (40, "mixed", True),
        # Of few texts without a second measure chance may have done it.
        (8, None, False),
        (40, None, True),
        (MIN_TEXTS - 1, "mixed", False),
    ],
)
def test_poles_are_not_found_where_neither_the_texts_nor_their_scores_tell_them(
    texts: int, placed: str | None, found: bool
) -> None:
    made = [make_exemplar(f"words about matter{index}", pole, index) for index in range(texts) for pole in POLES]
    apart = placed == "apart"
    scores = {item.key: float(apart and item.pole == "positive") for item in made} if placed else {}

    assert found == (find_inseparable(made, scores, WordVectors()) is not None)
    assert find_inseparable(make_set(20), {}, WordVectors()) is None


def test_too_few_texts_and_a_language_that_the_encoder_does_not_know_are_not_probed() -> None:
    assert probe_trait("clarity", make_set(MIN_TEXTS - 1), WordVectors()).auc is None
    assert probe_trait("clarity", make_set(MIN_TEXTS), WordVectors()).auc is not None
    assert probe_trait("clarity", [], WordVectors()).auc is None
    assert Probe("clarity", None) == probe_trait("clarity", make_set(10), None)


def test_texts_of_a_pair_are_one_group_and_single_texts_go_with_their_seed_or_alone() -> None:
    pair = [make_exemplar("One.", "positive", 0), make_exemplar("Two.", "negative", 0)]
    alone = [make_exemplar("Three.", "positive", 1), make_exemplar("Four.", "positive", 1, draw=1)]
    varied = [replace(make_exemplar(f"Five {index}.", "positive", index), seed_sha256="seed") for index in (2, 3)]

    assert ["clarity/00000"] * 2 + ["Three.", "Four."] + ["seed"] * 2 == list_groups([*pair, *alone, *varied])


def test_breaks_lie_between_the_scores_of_the_two_poles() -> None:
    probe = probe_trait("clarity", make_set(10), WordVectors())

    assert [True, False] * 10 == [positive for positive, _ in probe.scores]
    assert probe.breaks is not None
    assert not probe.breaks.overlap
    negative = [score for positive, score in probe.scores if not positive]
    assert sum(score <= probe.breaks.developing for score in negative) >= 0.75 * len(negative)
