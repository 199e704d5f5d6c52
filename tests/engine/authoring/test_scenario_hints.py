"""Subjects of another field are told where nobody would think of better ones, and a list that is one text."""

import pytest
from fakes.builders import make_model

from engine.authoring.hint import Examined
from engine.authoring.scenario_hints import list_scenario_hints
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.definitions.yaml_document import parse_yaml
from engine.domain.model import OwnScenarios
from engine.text.language import decide_language


@pytest.mark.parametrize(
    ("said", "is_embedded", "kinds"),
    [
        (OwnScenarios(), True, ["borrowed_subjects"]),
        (OwnScenarios(), False, []),
        (OwnScenarios(subjects=("a leaking tap",)), True, []),
        (OwnScenarios(pack="contracts"), True, []),
        (OwnScenarios(subjects=("heating, damp",), forms=("a letter", "a note, on paper")), True, ["one_value"]),
    ],
)
def test_borrowed_subjects_and_a_list_that_is_one_text_are_told(
    said: OwnScenarios, is_embedded: bool, kinds: list[str]
) -> None:
    model = make_model(scenarios=said)
    examined = Examined(model, parse_yaml("model.yaml", b"scenarios: {forms: [a letter]}\n"), decide_language(model))
    hints = list_scenario_hints(examined, load_packs(SCENARIOS_FOLDER), is_embedded)

    assert kinds == [hint.kind for hint in hints]
