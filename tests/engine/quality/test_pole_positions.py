"""The position of a text between the poles, for the report's picture."""

import numpy as np
from fakes.builders import make_exemplar, make_model, make_seeds, make_trait

from engine.quality.pole_scores import measure_pole_positions
from engine.quality.reference_axis import ReferenceAxis, fit_reference_axes
from engine.text.embedding import SentenceEncoder

PLAIN = "The page is in the cache for an hour, and then the server builds it again."
STILTED = "Retention of pages within the caching tier is governed by a validity window."
AXES = fit_reference_axes(make_model(seeds=make_seeds()), SentenceEncoder())


def test_texts_lie_near_the_pole_whose_seeds_they_are_like() -> None:
    made = [make_exemplar(PLAIN, "negative"), make_exemplar(STILTED, "positive")]
    leans = measure_pole_positions(AXES, made, SentenceEncoder())

    assert 0 < leans[made[1].key] < 0.5 < leans[made[0].key] < 1


def test_rejected_texts_have_a_position_and_what_has_no_text_has_none() -> None:
    made = [
        make_exemplar(PLAIN, "positive", 0, reason="too_long"),
        make_exemplar(STILTED, "negative", 0),
        make_exemplar(None, "positive", 1, reason="cell_failed"),
    ]

    assert {item.key for item in made[:2]} == set(measure_pole_positions(AXES, made, SentenceEncoder()))


def test_judges_odds_do_not_change_a_position() -> None:
    plain, judged = (
        [make_exemplar(PLAIN, "positive", odds=odds), make_exemplar(STILTED, "negative", odds=odds)]
        for odds in (None, -9.0)
    )

    assert measure_pole_positions(AXES, plain, SentenceEncoder()) == measure_pole_positions(
        AXES, judged, SentenceEncoder()
    )


def test_each_trait_has_positions_of_its_own() -> None:
    model = make_model(make_trait(), make_trait("tone"), seeds=(*make_seeds(), *make_seeds("tone")))
    one = [make_exemplar(PLAIN, "positive"), make_exemplar(STILTED, "negative")]
    other = [make_exemplar(PLAIN, "positive", trait="tone"), make_exemplar(STILTED, "negative", trait="tone")]
    leans = measure_pole_positions(fit_reference_axes(model, SentenceEncoder()), [*one, *other], SentenceEncoder())

    assert [leans[item.key] for item in one] == [leans[item.key] for item in other]


def test_trait_that_nothing_places_has_no_positions() -> None:
    made = [make_exemplar(PLAIN, "positive"), make_exemplar(STILTED, "negative")]
    axes = {"clarity": ReferenceAxis("nothing", np.zeros(512))}

    assert {} == measure_pole_positions(axes, made, SentenceEncoder())
