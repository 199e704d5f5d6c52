"""prefect.yaml says what the flows can do."""

import importlib
import tomllib
from typing import Any

import pytest
from fakes.workspace import ROOT
from prefect.flows import Flow

from flows.backfills.parts import QUEUE
from flows.deploy.deployments import name_deployment, read_prefect_file
from flows.deploy.work_pool import POOL, QUEUES
from flows.serve import MAX_RUNS

ITEMS = {name_deployment(item): item for item in read_prefect_file()["deployments"]}
NIGHTLY, FORM = "backfill/nightly", "backfill/on-demand"
PACKAGE_VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


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
    assert all(words in item["description"] for words in ("**Afterwards**", "**When it fails**"))
    assert set(item["parameters"]) <= fields
    assert nightly == ("nightly" in item["tags"]) == bool(schedules) == ("concurrency_limit" in item)
    assert "exemplars" in item["tags"]
    for schedule in schedules:
        assert (False, True) == (schedule["active"], bool(schedule["slug"] and schedule["timezone"]))
        assert set(schedule["parameters"]) <= fields


def test_worker_of_make_serve_has_room_when_all_queues_with_a_limit_are_full() -> None:
    assert sum(queue.limit or 0 for queue in QUEUES) < MAX_RUNS
    assert "interactive" == min(QUEUES, key=lambda queue: queue.priority).name
    assert QUEUE in {queue.name for queue in QUEUES}
