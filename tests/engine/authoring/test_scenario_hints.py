"""Subjects of another field are told where nobody would think of better ones, and a list that is one text."""

import pytest
from fakes.builders import make_model

from engine.authoring.hint import Examined
from engine.authoring.scenario_hints import list_scenario_hints
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.definitions.yaml_document import parse_yaml
from engine.domain.model import Brief, OwnScenarios
from engine.text.language import decide_language

PACKS = load_packs(SCENARIOS_FOLDER)


def list_kinds(scenarios: OwnScenarios, brief: Brief | None = None, is_embedded: bool = True) -> list[str]:
    model = make_model(scenarios=scenarios, brief=brief or Brief())
    document = parse_yaml("model.yaml", b"scenarios: {forms: [a letter]}\n")
    examined = Examined(model, document, decide_language(model))
    return [hint.kind for hint in list_scenario_hints(examined, PACKS, is_embedded)]


def test_subjects_of_a_pack_are_told_where_an_embedded_model_would_write() -> None:
    assert ["borrowed_subjects"] == list_kinds(OwnScenarios())
    assert [] == list_kinds(OwnScenarios(), is_embedded=False)


@pytest.mark.parametrize("said", [OwnScenarios(subjects=("a leaking tap",)), OwnScenarios(pack="contracts")])
def test_what_the_author_has_named_is_not_told(said: OwnScenarios) -> None:
    assert [] == list_kinds(said)


def test_list_that_is_one_text_with_a_comma_is_told() -> None:
    said = OwnScenarios(subjects=("heating, damp",), forms=("a letter", "a note, on paper"))

    assert ["one_value"] == list_kinds(said)
