"""The walk to a set: asked for over HTTP, run by the worker, attached, listed, reported; then a training begins."""

from collections.abc import Iterator

import pytest
import yaml
from fakes.blocks import find_blocks
from fakes.stack import RUN_SECONDS, Stack
from fakes.waiting import wait_until
from fakes.workspace import ROOT, count_poles, read_kept, read_manifest


@pytest.fixture
def training(stack: Stack) -> Iterator[str]:
    """The id of a deployment that the automation of the guide starts, and that no worker takes runs of."""
    site, document = stack.site, (ROOT / "docs/guides/events.md").read_text()
    [block] = [block for block in find_blocks(document) if block.language == "yaml"]
    flow = site.ask("POST", "/flows/", name="train")["id"]
    deployment = str(site.ask("POST", "/deployments/", name="on-attached", flow_id=flow)["id"])
    automation = yaml.safe_load(block.text)
    automation["actions"][0]["deployment_id"] = deployment
    made = site.ask("POST", "/automations/", **automation)["id"]
    yield deployment
    site.ask("DELETE", f"/automations/{made}")
    site.ask("DELETE", f"/deployments/{deployment}")


def test_run_that_is_asked_for_over_http_attaches_what_was_asked_for(stack: Stack, handle: str, training: str) -> None:
    answer = stack.author.post(f"/models/{handle}/samples/synthesize", json={"effort": "low"})
    assert 202 == answer.status_code, answer.text
    run_id = answer.json()["run_id"]
    state = stack.wait_for_end(run_id)
    folder = stack.workspace.find_set(run_id)

    assert "COMPLETED" == state[0], state
    assert [run_id] == stack.list_runs(handle)
    assert "attached" == read_manifest(folder)["status"]
    assert {4} == set(count_poles(read_kept(folder)).values())
    assert 200 == stack.author.get(f"/runs/{run_id}/report").status_code
    begun = {"deployments": {"id": {"any_": [training]}}}
    wait_until(lambda: stack.site.ask("POST", "/flow_runs/filter", **begun), 60, "a training has begun")
    [run] = stack.site.ask("POST", "/flow_runs/filter", **begun)
    assert {"handle": handle, "run_id": run_id} == run["parameters"]

    # Somebody starts the finished run again.
    asked, before = stack.provider.calls.total(), read_manifest(folder)
    stack.site.set_state(run_id, "SCHEDULED")
    wait_until(lambda: "Nothing is asked again" in stack.read_logs(run_id), RUN_SECONDS, "it says that it is done")
    assert "COMPLETED" == stack.wait_for_end(run_id)[0]
    assert (asked, before) == (stack.provider.calls.total(), read_manifest(folder))
