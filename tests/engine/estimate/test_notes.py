"""Notes tell what was left out, and nothing where nothing was."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes.builders import SCENARIO_POOL, make_level, make_model, make_seeds, make_test_plan, make_trait
from fakes.client import CHAT, PLAIN

from engine.asking.plan import Plan
from engine.axis.reference_axis import ReferenceAxis
from engine.domain.definition import Brief, OwnScenarios
from engine.domain.model import Model, Seed, Skipped
from engine.estimate.notes import list_notes
from engine.llm.client.request import Endpoint

FOUR_EACH = tuple(Seed("clarity", f"text {number}", float(number % 2)) for number in range(8))
MANY_SEEDS = make_model(seeds=tuple(Seed("clarity", f"text {number}", 1.0) for number in range(2_001)))
OWN_SUBJECTS = make_model(make_trait("tools", type="topic"), scenarios=OwnScenarios(subjects=("an axe",)))
PLACED = {"clarity": ReferenceAxis("seeds", np.zeros(512))}
NOT_PLACED = {"clarity": ReferenceAxis("nothing", np.zeros(512), seeds_auc=0.22)}


def list_more(plan: Plan, endpoint: Endpoint = CHAT) -> tuple[str, ...]:
    """The notes after those on the language and on a small model, which every plan has that is about one."""
    return tuple(note for note in list_notes(plan, endpoint)[1:] if "is a small model" not in note)


UNREAD = Brief(failure_modes=("Digits.",))


def test_language_is_said_with_what_decided_it_and_that_a_small_model_writes_nonsense_now_and_then() -> None:
    brazil, hindi = (make_test_plan(make_model(language=tag, seeds=make_seeds())) for tag in ("pt-BR", "hi"))

    assert ": Portuguese (Brazil) (pt-BR), because model.yaml says so." in list_notes(brazil, CHAT)[0]
    assert "The sentence encoder does not know Hindi" in list_notes(hindi, CHAT)[1]
    assert any("Read the texts first." in note for note in list_notes(brazil, PLAIN))


@pytest.mark.parametrize(
    ("model", "level", "endpoint", "said"),
    [
        (make_model(), {}, CHAT, None),
        (make_model(skipped=(Skipped("web source 2", "not read"),)), {}, CHAT, "Skipped: web source 2 (not read)."),
        (make_model(reviewed=make_seeds()), {}, CHAT, "accepted in earlier reviews (6)"),
        # The brief, which a plain-text model is not shown.
        (make_model(seeds=make_seeds(), brief=UNREAD), {}, PLAIN, "The synth model is not shown the brief."),
        (make_model(seeds=make_seeds()[:3]), {}, PLAIN, "There are no samples of Clarity to follow"),
        # What the effort asks for and the models cannot do.
        (make_model(), {"thinking": "low"}, CHAT, "The effort asks for low thinking; openai/test has none"),
        (make_model(), {"thinking": "low"}, replace(CHAT, thinks=True), None),
        (make_model(), {"judge_votes": 1, "judge_model": "openai/judge"}, CHAT, None),
        (make_model(), {"judge_votes": 1, "judge_model": "embedded"}, CHAT, "1 judge vote on each text"),
        (MANY_SEEDS, {}, CHAT, "Of the 2,001 seeds of Clarity at Clear, 2,000 are used"),
        (make_model(seeds=MANY_SEEDS.seeds[1:]), {}, CHAT, None),
        (OWN_SUBJECTS, {}, CHAT, "Both texts of a pair on Tools have the same subject"),
    ],
)
def test_what_is_left_out_is_noted(model: Model, level: dict[str, Any], endpoint: Endpoint, said: str | None) -> None:
    notes = list_more(replace(make_test_plan(model, make_level(**level)), axes={}), endpoint)

    assert (0 if said is None else 1) == len(notes)
    assert said is None or said in notes[0]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            make_model(),
            "(Clear and Obscure alone are no measure), so its pairs are chosen without an axis. Give each pole 4",
        ),
        (make_model(seeds=FOUR_EACH), "its seeds have an AUC of 0.22)"),
    ],
)
def test_trait_on_which_nothing_places_the_texts_is_noted(model: Model, said: str) -> None:
    plan = make_test_plan(model)

    assert [True] == [said in note for note in list_more(replace(plan, axes=NOT_PLACED))]
    assert () == list_more(replace(plan, axes=PLACED))


def test_scenarios_are_noted_with_their_reasons() -> None:
    reasons = dict.fromkeys(("audiences", "subjects"), "from the pack 'x', which fits")
    reasons |= {"forms": "given in model.yaml"}
    [note] = list_more(make_test_plan(scenario_pool=replace(SCENARIO_POOL, reasons=reasons)))

    assert "audiences and subjects from the pack 'x', which fits; forms given in model.yaml" in note
