"""Where exemplars lie between the poles, by those whose word has proved its worth."""

import numpy as np
import pytest
from fakes.builders import make_exemplar, make_model, make_seeds, make_trait
from fakes.word_vectors import WordVectors

from engine.axis.pole_scores import list_pole_names, measure_pole_positions, measure_pole_scores
from engine.axis.reference_axis import ReferenceAxis, fit_reference_axes, fit_reference_axis
from engine.domain.model import POLES
from engine.text.embedding import SentenceEncoder

ENCODER = SentenceEncoder()
AXIS = fit_reference_axis(make_model(seeds=make_seeds()), make_trait(), ENCODER)
NOTHING = ReferenceAxis("nothing", np.zeros(512))
PLAIN = "The page is in the cache for an hour, and then the server builds it again."
STILTED = "Retention of pages within the caching tier is governed by a validity window."
POLITE = "Please look at the page, which we have built for you."
JUDGED = [make_exemplar(PLAIN, "positive", odds=2.0), make_exemplar(STILTED, "negative", odds=-2.0)]


def test_text_lies_towards_the_pole_whose_seeds_it_is_like_whichever_was_asked_for() -> None:
    right = [make_exemplar(PLAIN, "positive"), make_exemplar(STILTED, "negative")]
    wrong = [make_exemplar(STILTED, "positive"), make_exemplar(PLAIN, "negative")]
    one, other = (list(measure_pole_scores(AXIS, made, None, ENCODER).values()) for made in (right, wrong))

    assert [1.0, -1.0] == pytest.approx(one, abs=1e-4)
    assert one == other[::-1]


@pytest.mark.parametrize(("judge_auc", "moves"), [(None, False), (0.5, False), (0.2, False), (0.9, True)])
def test_judge_has_a_say_by_the_skill_that_it_has_shown(judge_auc: float | None, moves: bool) -> None:
    """The judge says the opposite of the axis about one text of three."""
    made = [
        make_exemplar(PLAIN, "positive", odds=-9.0),
        make_exemplar(STILTED, "negative", odds=9.0),
        make_exemplar(POLITE, "positive", 1, odds=9.0),
    ]
    scores, alone = (measure_pole_scores(AXIS, made, auc, ENCODER) for auc in (judge_auc, None))

    assert moves == (scores[made[0].key] < alone[made[0].key])
    assert moves or scores == alone


@pytest.mark.parametrize(
    ("axis", "judge_auc", "expected"),
    [
        (NOTHING, 0.9, [1.0, -1.0]),
        (NOTHING, 0.5, []),
        (NOTHING, None, []),
        (None, None, []),
        (ReferenceAxis("seeds", np.eye(512)[0], 0.5), None, []),
    ],
    ids=["the judge", "a judge at chance", "nothing", "no encoder", "an axis at chance"],
)
def test_where_nothing_is_known_nothing_is_placed(
    axis: ReferenceAxis | None, judge_auc: float | None, expected: list[float]
) -> None:
    assert expected == list(measure_pole_scores(axis, JUDGED, judge_auc, WordVectors()).values())
    assert {} == measure_pole_scores(axis, [], judge_auc, WordVectors())


def test_pole_is_called_by_its_label_and_its_paraphrases_unless_it_is_bare() -> None:
    trait = make_trait(positive_paraphrase=("Plain sentences.",))
    bare = make_trait("health", type="topic", positive_label="Yes", negative_label="No")

    assert ["Clear", "Clarity: Clear", "Plain sentences."] == list_pole_names(trait, "positive")
    assert ["Obscure", "Clarity: Obscure"] == list_pole_names(trait, "negative")
    assert ["Health"] == list_pole_names(bare, "positive")


def test_topic_without_seeds_is_placed_by_its_own_exemplars() -> None:
    """The names of the poles say the opposite of what the exemplars show, and are not used."""
    trait = make_trait("sea", type="topic", positive_label="Harbour", negative_label="Other matters")
    texts = {"positive": "other matters waves boats", "negative": "harbour bread ovens"}
    made = [make_exemplar(f"{texts[pole]} {index}", pole, index, "sea") for index in range(6) for pole in POLES]
    axis = fit_reference_axis(make_model(trait), trait, WordVectors())
    scores = measure_pole_scores(axis, made, None, WordVectors())

    assert "exemplars" == axis.basis
    assert all((scores[item.key] > 0) == (item.pole == "positive") for item in made)


def test_every_text_of_a_trait_with_an_axis_has_a_position() -> None:
    """The judge's odds do not change it, nor what another trait has."""
    made = [
        make_exemplar(PLAIN, "negative", odds=-9.0),
        make_exemplar(STILTED, "positive", odds=9.0, reason="too_long"),
        make_exemplar(None, "positive", 1, reason="cell_failed"),
    ]
    other = [make_exemplar(PLAIN, "negative", trait="tone"), make_exemplar(STILTED, "positive", trait="tone")]
    model = make_model(make_trait(), make_trait("tone"), seeds=(*make_seeds(), *make_seeds("tone")))
    axes = {**fit_reference_axes(model, ENCODER), "third": NOTHING}
    positions = measure_pole_positions(axes, [*made, *other, make_exemplar(PLAIN, trait="third")], ENCODER)

    assert [made[0].key, made[1].key, other[0].key, other[1].key] == list(positions)
    assert [0.8176, 0.1824] * 2 == pytest.approx(list(positions.values()), abs=1e-3)
