"""The walk to a set: asked for over HTTP, run by the worker, attached, listed, reported."""

from fakes.stack import Stack
from fakes.workspace import count_poles, read_kept, read_manifest


def test_run_that_is_asked_for_over_http_attaches_what_was_asked_for(stack: Stack, handle: str) -> None:
    answer = stack.author.post(f"/models/{handle}/samples/synthesize", json={"effort": "low"})
    assert 202 == answer.status_code, answer.text
    run_id = answer.json()["run_id"]
    state = stack.wait_for_end(run_id)
    folder = stack.workspace.find_set(run_id)

    assert "COMPLETED" == state[0], state
    assert [run_id] == stack.list_runs(handle)
    assert "attached" == read_manifest(folder)["status"]
    assert {4} == set(count_poles(read_kept(folder)).values())
    assert "succeeded" == stack.author.get(f"/models/{handle}").json()["last_operation"]["status"]
    assert 200 == stack.author.get(f"/runs/{run_id}/report").status_code
