"""A field that no scenario pack covers is named where the embedded model would write, with the line that helps."""

import pytest
import yaml
from fakes.examined import make_examined

from engine.authoring.scenario_hints import list_scenario_hints
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs

TRAIT = {"type": "spectrum", "key": "warmth", "positive_label": "Warm", "negative_label": "Cold"}


@pytest.mark.parametrize(
    ("domain", "scenarios", "is_embedded", "kinds"),
    [
        ("Posts about dating profiles, football", {}, True, ["not_covered"]),
        ("Posts about dating profiles, football", {}, False, []),
        ("Posts about cooking, football", {}, True, []),
        ("", {}, True, ["not_covered"]),
        ("Posts about dating profiles", {"subjects": ["a first message, a photo"]}, True, ["one_value"]),
        ("Posts about dating profiles", {"pack": "sport"}, True, []),
    ],
)
def test_hints_on_scenarios(domain: str, scenarios: dict[str, object], is_embedded: bool, kinds: list[str]) -> None:
    text = yaml.safe_dump({"traits": [TRAIT], "brief": {"domain": domain} if domain else {}, "scenarios": scenarios})
    hints = list(list_scenario_hints(make_examined(text), load_packs(SCENARIOS_FOLDER), is_embedded))

    assert kinds == [hint.kind for hint in hints]
    assert all('`domain: ["' in hint.message for hint in hints if hint.kind == "not_covered")
