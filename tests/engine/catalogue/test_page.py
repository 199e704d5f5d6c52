"""The table says first how many models need a person, then all of them, then what to type; it is inert."""

from datetime import timedelta
from typing import get_args

from fakes.conditions import HANDLE, NOON, make_condition, make_run

from engine.catalogue.condition import KINDS, Kind, ModelCondition, ModelFinding
from engine.catalogue.page import MAX_ROWS, describe_json, rank_model, write_page

HOSTILE = "</script><img src=x onerror=alert(1)>"
BROKEN = make_condition(
    handle="u22a8.broken", runs=(), faults=(ModelFinding("broken", f"*1* {HOSTILE}", ("exemplars plan",)),)
)


def survey(*models: ModelCondition) -> list[ModelCondition]:
    return sorted(models, key=rank_model)


def test_page_says_how_many_need_a_person_and_has_each_finding_with_what_to_type_and_all_models() -> None:
    past = make_run(NOON, NOON, 16, 1.5), make_run(NOON - timedelta(days=30), None, 0, 0.25)
    models = survey(make_condition(runs=past, set_aside=3), BROKEN)
    data = describe_json(models, NOON)
    page = write_page(models)

    sentence = "**32 synthesized samples in 2 attached sets, 3 set aside for evaluation, 8 authored;"
    assert page.startswith(f"# 1 of 2 models needs a person\n\n{sentence}")
    assert "**Cannot be read**: \\*1\\* \\</script\\>" in page
    assert "\n\n```sh\nexemplars plan\n```" in page
    assert f"| {HANDLE} | draft | nothing | 16 | 0.95 | 2026-11-25 | $1.75 |" in page
    assert page.endswith("| 2026-11 | u22a8 | 1 | $1.50 |\n| 2026-10 | u22a8 | 1 | $0.25 |")
    assert ["u22a8.broken", HANDLE] == [model["handle"] for model in data["models"]]
    assert [None, 1.75] == [model["cost_usd"] for model in data["models"]]
    assert {"month": "2026-10", "namespace": "u22a8", "runs": 1, "usd": 0.25} == data["costs"][1]
    assert write_page(survey()).startswith("# There are no models\n")
    assert set(KINDS) == set(get_args(Kind))
    assert "And 7 more models: `exemplars catalogue --json`." in write_page(survey(*[BROKEN] * (MAX_ROWS + 7)))
