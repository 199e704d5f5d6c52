"""prefect.yaml says what the flows can do, and what people have set up on a server is not undone by it."""

import importlib
import tomllib
from typing import Any
from uuid import uuid4

import pytest
from fakes.workspace import ROOT
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import Flow

from flows.backfills.parts import QUEUE
from flows.deploy.deployments import PREFECT_FILE, keep_operator_settings, name_deployment, read_prefect_file
from flows.deploy.work_pool import POOL, QUEUES
from flows.serve import MAX_RUNS

CONTENT = read_prefect_file()
ITEMS = {name_deployment(item): item for item in CONTENT["deployments"]}
NAMES = pytest.mark.parametrize("name", ITEMS)
NIGHTLY = "backfill/nightly"


def test_deployments_have_the_names_that_others_rely_on() -> None:
    wanted = {
        "synthesize/on-demand",
        "synthesize/nightly",
        "backfill/on-demand",
        NIGHTLY,
        "prune/nightly",
        "catalogue/nightly",
    }

    assert ROOT / "prefect.yaml" == PREFECT_FILE.resolve()
    assert wanted <= set(ITEMS)
    assert len(CONTENT["deployments"]) == len(ITEMS)


@NAMES
def test_deployment_is_of_a_flow_and_of_a_queue_that_there_are(name: str) -> None:
    item = ITEMS[name]

    assert name == f"{load(name).name}/{item['name']}"
    assert (POOL, True) == (
        item["work_pool"]["name"],
        item["work_pool"]["work_queue_name"] in {queue.name for queue in QUEUES},
    )


@NAMES
def test_description_has_a_word_for_every_field_of_the_form(name: str) -> None:
    item = ITEMS[name]
    fields = set(load(name).parameters.properties)
    # A nightly backfill's fields are those of the other, which it names.
    told = item["description"] + (ITEMS["backfill/on-demand"]["description"] if name == NIGHTLY else "")

    assert [] == [field for field in sorted(fields) if f"**{field}**" not in told]
    assert set(item["parameters"]) <= fields
    for words in ("**Afterwards**", "**When it fails**"):
        assert words in item["description"]


@NAMES
def test_version_is_the_package_s(name: str) -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert (package, "prefect:simple") == (ITEMS[name]["version"], ITEMS[name]["version_type"])


@NAMES
def test_schedule_is_off_and_has_a_zone_and_parameters_of_the_flow(name: str) -> None:
    item = ITEMS[name]
    nightly = "nightly" in name

    assert nightly == ("nightly" in item["tags"]) == bool(item.get("schedules")) == ("concurrency_limit" in item)
    assert "exemplars" in item["tags"]
    for schedule in item.get("schedules", []):
        assert schedule["active"] is False
        assert schedule["slug"]
        assert schedule["timezone"]
        assert set(schedule["parameters"]) <= set(load(name).parameters.properties)


def test_deployments_of_one_name_are_told_apart_in_a_list_by_first_words_and_tags() -> None:
    first_words = [item["description"].partition("**:")[0] for item in ITEMS.values()]
    # The list has room for one tag.
    first_tags = {name: item["tags"][0] for name, item in ITEMS.items()}

    assert (
        len(ITEMS) == len(set(first_words)) == len({(name.partition("/")[2], tag) for name, tag in first_tags.items()})
    )
    assert all(words.startswith("**") and len(words) < 40 for words in first_words)


def test_worker_of_make_serve_has_room_when_all_queues_with_a_limit_are_full() -> None:
    assert sum(queue.limit or 0 for queue in QUEUES) < MAX_RUNS
    assert "interactive" == min(QUEUES, key=lambda queue: queue.priority).name
    assert QUEUE in {queue.name for queue in QUEUES}


def test_nothing_is_taken_off_for_a_server_without_deployments() -> None:
    assert CONTENT == keep_operator_settings(CONTENT, {}, None)


def test_schedules_that_are_there_are_not_sent_again() -> None:
    schedule = DeploymentSchedule(id=uuid4(), schedule=CronSchedule(cron="1 2 3 * *"), active=True)
    kept = keep(NIGHTLY, make_deployment(schedules=[schedule]))

    assert "schedules" not in kept[NIGHTLY]
    assert ITEMS["synthesize/nightly"]["schedules"] == kept["synthesize/nightly"]["schedules"]


def test_schedules_are_sent_where_there_are_none() -> None:
    assert ITEMS[NIGHTLY]["schedules"] == keep(NIGHTLY, make_deployment())[NIGHTLY]["schedules"]


def test_deployment_that_is_paused_stays_so() -> None:
    kept = keep(NIGHTLY, make_deployment(paused=True))

    assert kept[NIGHTLY]["paused"] is True
    assert "paused" not in kept["synthesize/on-demand"]


def test_image_goes_to_every_deployment_and_leaves_the_environment() -> None:
    kept = keep_operator_settings(CONTENT, {}, "registry/exemplars:1")
    variables = [item["work_pool"]["job_variables"] for item in kept["deployments"]]

    assert ["registry/exemplars:1"] * len(ITEMS) == [given["image"] for given in variables]
    assert [item["work_pool"]["job_variables"]["env"] for item in ITEMS.values()] == [
        given["env"] for given in variables
    ]


def load(name: str) -> Flow[..., Any]:
    module, _, function = ITEMS[name]["entrypoint"].rpartition(".")
    flow: Flow[..., Any] = getattr(importlib.import_module(module), function)
    return flow


def keep(name: str, deployment: DeploymentResponse) -> dict[str, dict[str, Any]]:
    return {
        name_deployment(item): item for item in keep_operator_settings(CONTENT, {name: deployment}, None)["deployments"]
    }


def make_deployment(**fields: Any) -> DeploymentResponse:
    return DeploymentResponse(id=uuid4(), flow_id=uuid4(), name="nightly", **fields)
