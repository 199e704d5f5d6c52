"""prefect.yaml says what the flows can do, and forms offer the handles that there are, any other, and no wrong one."""

import importlib
import tomllib
from typing import Any

import pytest
from fakes.workspace import ROOT
from prefect.flows import Flow
from prefect.utilities.schema_tools.validation import validate

from engine.domain.model import HANDLE_MAX_LENGTH
from flows.backfills.parts import QUEUE
from flows.deploy.deployments import MOST_OFFERED, add_choice, name_deployment, offer_handles, read_prefect_file
from flows.deploy.work_pool import POOL, QUEUES
from flows.serve import MAX_RUNS
from flows.synthesize import synthesize

ITEMS = {name_deployment(item): item for item in read_prefect_file()["deployments"]}
NIGHTLY, FORM, COLLECTOR = "backfill/nightly", "backfill/on-demand", "batches/collect"
PACKAGE_VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SCHEMA = synthesize.parameters.model_dump()
HANDLES = ("u22a8.one", "u22a8.two")


@pytest.mark.parametrize("name", ITEMS)
def test_deployment_is_of_a_flow_a_queue_and_this_version_and_explains_every_field_of_its_form(name: str) -> None:
    item = ITEMS[name]
    module, _, function = item["entrypoint"].rpartition(".")
    flow: Flow[..., Any] = getattr(importlib.import_module(module), function)
    fields = set(flow.parameters.properties)
    # A nightly backfill's fields are those of the other, which it names.
    told = item["description"] + (ITEMS[FORM]["description"] if name == NIGHTLY else "")
    nightly, schedules = "nightly" in name, item.get("schedules", [])

    assert name == f"{flow.name}/{item['name']}"
    assert POOL == item["work_pool"]["name"]
    assert item["work_pool"]["work_queue_name"] in {queue.name for queue in QUEUES}
    assert (PACKAGE_VERSION, "prefect:simple") == (item["version"], item["version_type"])
    assert [] == [field for field in sorted(fields) if f"**{field}**" not in told]
    assert all(words in item["description"] for words in ("**Afterwards**", "**If it fails**"))
    assert set(item["parameters"]) <= fields
    assert nightly == ("nightly" in item["tags"])
    assert (nightly or name == COLLECTOR) == bool(schedules) == ("concurrency_limit" in item)
    # The list of the UI shows the deployment's own name, of which there are several, and the first tag.
    assert (name, "exemplars") == (item["tags"][0], item["tags"][-1])
    for schedule in schedules:
        assert (False, True) == (schedule["active"], bool(schedule["slug"] and schedule["timezone"]))
        assert set(schedule["parameters"]) <= fields


def test_worker_of_make_serve_has_room_when_all_queues_with_a_limit_are_full() -> None:
    assert sum(queue.limit or 0 for queue in QUEUES) < MAX_RUNS
    assert "interactive" == min(QUEUES, key=lambda queue: queue.priority).name
    assert QUEUE in {queue.name for queue in QUEUES}


def list_errors(handle: object, schema: Any) -> list[str]:
    return [error.message for error in validate({"handle": handle}, schema)]


def test_handles_are_to_choose_from_and_another_can_be_typed() -> None:
    schema = add_choice(SCHEMA, HANDLES)
    listed, typed = schema["properties"]["handle"]["anyOf"]
    many = add_choice(SCHEMA, [f"u22a8.model-{number:04}" for number in range(MOST_OFFERED + 1)])

    assert ("listed handle", list(HANDLES)) == (listed["title"], listed["enum"])
    assert ("other handle", False) == (typed["title"], "enum" in typed)
    assert [] == list_errors("u22a8.one", schema) == list_errors("u22a8.made-later", schema)
    assert SCHEMA["properties"]["effort"] == schema["properties"]["effort"]
    assert add_choice(SCHEMA, ["u22a8.three"]) == add_choice(schema, ["u22a8.three"])
    assert SCHEMA == add_choice(schema, [])
    assert MOST_OFFERED == len(many["properties"]["handle"]["anyOf"][0]["enum"])


@pytest.mark.parametrize("handle", ["No Such Handle", "u22a8", f"a.{'b' * HANDLE_MAX_LENGTH}"])
def test_wrong_handle_has_the_one_message_that_it_has_without_a_list(handle: str) -> None:
    said = list_errors(handle, add_choice(SCHEMA, HANDLES))

    assert said
    assert said == list_errors(handle, SCHEMA)


def test_catalogue_that_cannot_be_read_leaves_the_forms_as_they_are() -> None:
    client: Any = None

    assert offer_handles(client, "nowhere://models").startswith("the same handles as before: nowhere://models can")
